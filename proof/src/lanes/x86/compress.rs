//! The compression function of SHA-256, the same for all kinds of vectors.

/// Defines `compress` and `hash_all` for vectors of `LANES` words with the functions of the module around it.
macro_rules! compress {
    ($features:literal) => {
        /// Runs all jobs.
        #[target_feature(enable = $features)]
        pub(in crate::lanes) fn hash_all(buffer: &mut [u8], jobs: &[Job]) {
            in_lanes(buffer, jobs, |state, words| compress(state, words));
        }

        /// Compresses one block of each message (section 6.2.2).
        #[target_feature(enable = $features)]
        fn compress(state: &mut [[u32; LANES]; 8], block: &[[u32; LANES]; 16]) {
            let mut words = [splat(0); 16];
            for (to, from) in words.iter_mut().zip(block) {
                *to = load(from);
            }
            let mut all = [splat(0); 8];
            for (to, from) in all.iter_mut().zip(&*state) {
                *to = load(from);
            }
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = all;
            macro_rules! round {
                ($t:literal $k:ident: $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
                    let s1 = xor(rotate::<6>($e), rotate::<11>($e), rotate::<25>($e));
                    let word = add(words[$t], splat($k[$t]));
                    let t1 = add(add(add($h, word), choose($e, $f, $g)), s1);
                    let s0 = xor(rotate::<2>($a), rotate::<13>($a), rotate::<22>($a));
                    $d = add($d, t1);
                    $h = add(t1, add(s0, majority($a, $b, $c)));
                };
            }
            for (nth, k) in CONSTANTS.as_chunks::<16>().0.iter().enumerate() {
                if nth > 0 {
                    for t in 0..16 {
                        let [w2, w7, w15] = [2, 7, 15].map(|back| words[(t + 16 - back) % 16]);
                        let s0 = xor(rotate::<7>(w15), rotate::<18>(w15), shift::<3>(w15));
                        let s1 = xor(rotate::<17>(w2), rotate::<19>(w2), shift::<10>(w2));
                        words[t] = add(add(words[t], w7), add(s0, s1));
                    }
                }
                // The names rotate instead of the values, so no value is moved.
                round!(0 k: a b c d e f g h);
                round!(1 k: h a b c d e f g);
                round!(2 k: g h a b c d e f);
                round!(3 k: f g h a b c d e);
                round!(4 k: e f g h a b c d);
                round!(5 k: d e f g h a b c);
                round!(6 k: c d e f g h a b);
                round!(7 k: b c d e f g h a);
                round!(8 k: a b c d e f g h);
                round!(9 k: h a b c d e f g);
                round!(10 k: g h a b c d e f);
                round!(11 k: f g h a b c d e);
                round!(12 k: e f g h a b c d);
                round!(13 k: d e f g h a b c);
                round!(14 k: c d e f g h a b);
                round!(15 k: b c d e f g h a);
            }
            for (to, (before, new)) in state.iter_mut().zip(all.into_iter().zip([a, b, c, d, e, f, g, h])) {
                *to = store(add(before, new));
            }
        }
    };
}

pub(super) use compress;

/// The constants of the rounds (section 4.2.2).
pub(super) const CONSTANTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, //
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, //
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, //
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, //
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, //
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, //
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, //
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2, //
];

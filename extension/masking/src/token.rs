//! Secrets that are known by their form: keys with a prefix of their issuer, JSON Web Tokens, hashes of passwords,
//! private keys, payment cards.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::opaque::{is_opaque, is_token_byte};

/// The prefixes of keys, with the minimum length of the part behind them. They are sorted by their first byte.
const PREFIXES: &[(&str, usize)] = &[
    // Airtable, Amazon Web Services (ids of access keys, keys of Bedrock), age
    ("ABIA", 16),
    ("ABSK", 60),
    ("ACCA", 16),
    ("AGE-SECRET-KEY-1", 50),
    ("AKIA", 16),
    ("ASIA", 16),
    ("ATATT3", 20),
    ("ATBB", 28),
    ("ATCTT3", 20),
    ("AIza", 30),
    ("CCIPAT_", 20),
    ("EAAA", 50),
    ("EAAC", 60),
    ("EAAG", 60),
    ("EZAK", 50),
    ("FLWSECK", 20),
    ("GOCSPX-", 20),
    ("LTAI", 16),
    ("NRAK-", 20),
    ("NRAA-", 20),
    ("NRII-", 20),
    ("PMAK-", 24),
    ("SG.", 20),
    ("SK", 32),
    ("aio_", 24),
    ("apify_api_", 20),
    ("bkua_", 20),
    ("cfut_", 20),
    ("dapi", 32),
    ("dckr_oat_", 20),
    ("dckr_pat_", 20),
    ("doo_v1_", 32),
    ("dop_v1_", 32),
    ("dor_v1_", 32),
    ("dp.ct.", 30),
    ("dp.pt.", 30),
    ("dp.st.", 30),
    ("duffel_live_", 20),
    ("dt0c01.", 40),
    ("fio-u-", 30),
    ("figd_", 20),
    ("fo1_", 30),
    ("fpk_", 30),
    ("FlyV1", 20),
    ("ghb_", 30),
    ("gho_", 30),
    ("ghp_", 30),
    ("ghr_", 30),
    ("ghs_", 30),
    ("ghu_", 30),
    ("github_pat_", 30),
    ("glagent-", 20),
    ("glcbt-", 20),
    ("gldt-", 20),
    ("glc_", 30),
    ("glffct-", 20),
    ("glft-", 20),
    ("glimt-", 20),
    ("gloas-", 20),
    ("glpat-", 20),
    ("glptt-", 20),
    ("glrt-", 20),
    ("glrtr-", 20),
    ("glsa_", 30),
    ("glsoat-", 20),
    ("glwt-", 20),
    ("gsk_", 30),
    ("gitea_", 30),
    ("hf_", 30),
    ("hvb.", 24),
    ("hvs.", 24),
    ("hvr.", 24),
    ("key-", 32),
    ("lin_api_", 30),
    ("lin_oauth_", 30),
    ("live_", 40),
    ("napi_", 40),
    ("nfp_", 30),
    ("npm_", 30),
    ("ntn_", 30),
    ("nvapi-", 40),
    ("oy2", 43),
    ("pat-na1-", 30),
    ("pat-eu1-", 30),
    ("pat.", 20),
    ("patLive", 20),
    ("phx_", 30),
    ("pplx-", 30),
    ("prv_live_", 20),
    ("pscale_oauth_", 30),
    ("pscale_pw_", 30),
    ("pscale_tkn_", 30),
    ("pul-", 40),
    ("pypi-", 40),
    ("r8_", 30),
    ("re_", 30),
    ("rdme_", 40),
    ("rk_live_", 16),
    ("rk_test_", 16),
    ("rubygems_", 40),
    ("rnd_", 20),
    ("sbp_", 30),
    ("sb_secret_", 20),
    ("secret_", 40),
    ("shpat_", 30),
    ("shpca_", 30),
    ("shppa_", 30),
    ("shpss_", 30),
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_prod_", 16),
    ("sk_test_", 16),
    ("sk_", 40),
    ("sntrys_", 30),
    ("sntryu_", 30),
    ("sq0atp-", 20),
    ("sq0csp-", 30),
    ("sqp_", 30),
    ("sqa_", 30),
    ("squ_", 30),
    ("sl.", 60),
    ("tfp_", 30),
    ("tskey-", 20),
    ("tok_live_", 16),
    ("ubi_", 40),
    ("v1.0-", 40),
    ("vault:v1:", 20),
    ("vcp_", 20),
    ("whsec_", 20),
    ("xai-", 40),
    ("xapp-", 20),
    ("xkeysib-", 40),
    ("xsmtpsib-", 40),
    ("xoxa-", 16),
    ("xoxb-", 16),
    ("xoxc-", 16),
    ("xoxd-", 16),
    ("xoxe.", 16),
    ("xoxe-", 16),
    ("xoxo-", 16),
    ("xoxp-", 16),
    ("xoxr-", 16),
    ("xoxs-", 16),
    ("xoxc-", 16),
    ("ya29.", 20),
    ("bkaj_", 20),
    ("CCIPRJ_", 20),
    ("CFPAT-", 30),
    ("dp.sa.", 30),
    ("dp.scim.", 30),
    ("dp.audit.", 30),
    ("fm1a_", 30),
    ("fm1r_", 30),
    ("fm2_", 30),
    ("HRKU-", 30),
    ("NRJS-", 16),
    ("PMAT-", 20),
    ("pcsk_", 40),
    ("lsv2_pt_", 30),
    ("lsv2_sk_", 30),
    ("ops_eyJ", 40),
    ("rpa_", 30),
    ("sgp_", 40),
    ("sha256~", 40),
    ("SWMTKN-1-", 40),
    ("tgp_v1_", 30),
    ("tvly-", 20),
    ("vercel_", 20),
    ("zpka_", 30),
    ("AKCp", 60),
    ("csk-", 40),
    ("jina_", 40),
    ("snyk_uat.", 30),
    ("1//0", 30),
    ("1000.", 60),
];

/// The prefixes by their first byte.
static BY_FIRST: LazyLock<[Vec<(&'static str, usize)>; 256]> = LazyLock::new(|| {
    let mut lists = [const { Vec::new() }; 256];
    for (prefix, minimum) in PREFIXES {
        lists[usize::from(prefix.as_bytes()[0])].push((*prefix, *minimum));
    }
    // The longest comes first.
    lists.iter_mut().for_each(|list| list.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len())));
    lists
});

/// The beginnings of hashes of passwords (crypt, PHC, LDAP, Django, PostgreSQL).
const HASHES: &[&str] = &[
    "$1$",
    "$5$",
    "$6$",
    "$y$",
    "$2a$",
    "$2b$",
    "$2x$",
    "$2y$",
    "$argon2",
    "$scrypt$",
    "$pbkdf2",
    "$apr1$",
    "$7$",
    "$sha1$",
    "$gy$",
    "$P$",
    "$H$",
    "$S$",
    "$bcrypt",
    "{SSHA",
    "{SHA}",
    "{SMD5}",
    "{CRYPT}",
    "{PBKDF2",
    "pbkdf2_sha",
    "bcrypt_sha256$",
    "argon2$",
    "scrypt:",
    "pbkdf2:sha",
    "SCRAM-SHA-",
    // A token of Braintree is divided in the same way.
    "access_token$",
];

/// The pairs of bytes at which a known secret begins, as one bit for each.
static BEGINS: LazyLock<Box<[u64; 1 << 10]>> = LazyLock::new(|| {
    let mut begins = Box::new([0; 1 << 10]);
    let prefixes = PREFIXES.iter().map(|(prefix, _)| *prefix);
    for text in prefixes.chain(HASHES.iter().copied()).chain(JSON.iter().copied()) {
        let pair = pair(text.as_bytes());
        begins[pair / 64] |= 1 << (pair % 64);
    }
    begins
});

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The number of bytes that decide whether a known secret begins. The secret itself may be longer.
const DECIDING_BYTES: usize = 200;

/// The minimum number of digits of a payment card.
pub const CARD_DIGITS: usize = 14;

/// The minimum length of a known secret, in bytes.
pub const SECRET_BYTES: usize = 16;

/// Returns the known secrets in the text. Adds the words that may be base64 of a JSON object to `encoded`.
pub fn find(text: &str, found: &mut Vec<Range<usize>>, encoded: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        if !is_word_byte(bytes[start]) {
            start += 1;
            continue;
        }
        let length = bytes[start..].iter().position(|byte| !is_word_byte(*byte)).unwrap_or(bytes.len() - start);
        if length >= SECRET_BYTES {
            find_in_word(text, start..start + length, found, encoded);
        }
        start += length;
    }
}

fn is_word_byte(byte: u8) -> bool {
    is_token_byte(byte) || matches!(byte, b'$' | b':' | b'{' | b'}')
}

/// Looks at every position in the word at which a secret may begin.
fn find_in_word(text: &str, word: Range<usize>, found: &mut Vec<Range<usize>>, encoded: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let is_begin = &**BEGINS;
    let mut at = word.start;
    while at + SECRET_BYTES <= word.end {
        let pair = pair(&bytes[at..]);
        let begins = is_begin[pair / 64] >> (pair % 64) & 1 == 1
            && (at == word.start || !bytes[at - 1].is_ascii_alphanumeric() || is_escape_end(bytes, at))
            // The parts of a JSON Web Token may have these characters. Each part is looked at once.
            && !(bytes[at] == b'e' && at > word.start && matches!(bytes[at - 1], b'-' | b'_'));
        if begins && let Some(length) = known(&text[at..]) {
            found.push(at..at + length);
            at += length;
        } else if begins && is_encoded_json(&text[at..word.end]) {
            let length = run(&bytes[at..word.end], |byte| is_token_byte(byte) && !b".~%*|".contains(&byte));
            encoded.push(at..at + length);
            at += length.max(1);
        } else {
            at += 1;
        }
    }
    if word.len() >= MARKED_BYTES {
        find_marked(text, word, found);
    }
}

/// The beginnings of base64 of JSON: `{"`, `{ "`, `{` with a line feed, and `[{"`.
const JSON: &[&str] = &["eyJ", "eyAi", "ewog", "ewoJ", "ewoi", "W3si"];

fn is_encoded_json(text: &str) -> bool {
    JSON.iter().any(|begin| text.starts_with(begin))
}

/// The words in a prefix that call the random rest a secret, as in `acme_live_…` and `acme_pat_…`.
const MARKS: &[&str] = &[
    "sk", "rk", "secret", "sec", "token", "tok", "tkn", "pat", "api", "apikey", "live", "prod", "pw", "oauth",
    "access", "refresh",
];

/// The minimum length of the random part behind a mark, in bytes.
const MARKED_REST: usize = 20;

/// The minimum length of a word with a mark, in bytes.
const MARKED_BYTES: usize = MARKED_REST + "sk_".len();

/// Finds the keys whose prefix says what they are. A publishable key is none.
fn find_marked(text: &str, word: Range<usize>, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'_', &bytes[word.start..word.end + 1 - MARKED_REST]).map(|at| word.start + at) {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric();
        let mark = bytes[word.start..at].iter().rev().take(8).take_while(|byte| is_name(byte)).count();
        if !MARKS.contains(&&text[at - mark..at]) {
            continue;
        }
        let rest = bytes[at + 1..word.end].iter().take(DECIDING_BYTES).take_while(|byte| is_name(byte)).count();
        let before =
            bytes[word.start..at].iter().rev().take(30).take_while(|byte| is_name(byte) || **byte == b'_').count();
        let start = at - before;
        let is_public = text[start..at].split('_').any(|part| matches!(part, "pk" | "pub" | "public"));
        if rest >= MARKED_REST && !is_public && is_opaque(&text[at + 1..at + 1 + rest]) {
            found.push(start..at + 1 + run(&bytes[at + 1..word.end], |byte| is_name(&byte) || b"_-".contains(&byte)));
            return;
        }
    }
}

/// Returns whether a percent-encoded character ends before `at`.
fn is_escape_end(bytes: &[u8], at: usize) -> bool {
    at >= 3 && bytes[at - 3] == b'%' && bytes[at - 2].is_ascii_hexdigit() && bytes[at - 1].is_ascii_hexdigit()
}

/// Returns the length of the known secret at the beginning of the text.
fn known(text: &str) -> Option<usize> {
    let first = text.as_bytes()[0];
    if first == b'e' {
        // Grafana puts the JSON of its older keys into base64.
        let is_key =
            |text: &str| text.starts_with("eyJrIjoi") && run(text.as_bytes(), |b| b.is_ascii_alphanumeric()) >= 50;
        return match text.starts_with("eyJ") {
            true => jwt(text).or_else(|| is_key(text).then(|| run(text.as_bytes(), is_token_byte))),
            false => None,
        };
    }
    if HASHES.iter().any(|hash| text.starts_with(hash)) {
        let is_hash_byte = |byte| is_word_byte(byte) && byte != b'|' || byte == b',';
        let start = &text.as_bytes()[..text.len().min(DECIDING_BYTES)];
        let start = &start[..run(start, is_hash_byte)];
        if start.len() >= 20 && start.iter().any(u8::is_ascii_digit) {
            return Some(run(text.as_bytes(), is_hash_byte));
        }
    }
    let (prefix, minimum) = BY_FIRST[usize::from(first)].iter().find(|(prefix, _)| text.starts_with(prefix))?;
    let is_key_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/' | b'=');
    let start = &text.as_bytes()[prefix.len()..text.len().min(DECIDING_BYTES)];
    let length = run(start, is_key_byte);
    let rest = text[prefix.len()..prefix.len() + length].trim_end_matches('.');
    let capitals =
        rest.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let has_digit = rest.bytes().any(|byte| byte.is_ascii_digit()) || capitals.take(3).count() == 3;
    // Short prefixes of letters also begin words and identifiers.
    let is_exact = match *prefix {
        "AKIA" | "ASIA" | "ABIA" | "ACCA" => {
            rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
                || rest.len() > 16 && !rest.as_bytes()[16].is_ascii_alphanumeric()
        }
        "SK" | "dapi" | "key-" => rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "LTAI" => rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) && is_opaque(rest),
        _ => rest.len() >= *minimum && has_digit,
    };
    let shown = match *prefix {
        "AKIA" | "ASIA" | "ABIA" | "ACCA" => 16,
        _ if length == start.len() && is_exact => run(&text.as_bytes()[prefix.len()..], is_key_byte),
        _ => rest.len(),
    };
    is_exact.then_some(prefix.len() + shown)
}

/// Returns the length of a JSON Web Token (RFC 7519): at least a header and a payload in base64url.
fn jwt(text: &str) -> Option<usize> {
    let part = |text: &str| run(text.as_bytes(), |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let header = part(text);
    let mut length = header;
    let mut parts = 1;
    while text[length..].starts_with('.') && parts < 5 {
        length += 1 + part(&text[length + 1..]);
        parts += 1;
    }
    (header >= 10 && parts >= 2 && length >= header + 10).then_some(length)
}

/// Finds the sessions of Salesforce: the id of the organisation, an exclamation mark, and a random part.
pub fn find_sessions(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let is_random = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    for mark in memchr::memchr_iter(b'!', bytes) {
        let before = bytes[..mark].iter().rev().take(19).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let rest = run(&bytes[mark + 1..], is_random);
        if (13..=18).contains(&before) && bytes[mark - before..].starts_with(b"00D") && rest >= 40 {
            found.push(mark - before..mark + 1 + rest);
        }
    }
}

fn run(text: &[u8], accepts: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !accepts(*byte)).unwrap_or(text.len())
}

/// Finds the private keys in PEM (RFC 7468), with the lines around them. A block without an end goes to the end of the
/// text.
pub fn find_pem(text: &str, found: &mut Vec<Range<usize>>) {
    const BEGIN: &str = "-----BEGIN ";
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(BEGIN));
    let mut from = 0;
    while let Some(begin) = FINDER.find(&text.as_bytes()[from..]).map(|at| from + at) {
        let label = begin + BEGIN.len();
        let label_end = text[label..].find("-----").map_or(text.len(), |at| label + at);
        let end = text[label_end..].find("-----END ").map_or(text.len(), |at| {
            let end_label = label_end + at + "-----END ".len();
            text[end_label..].find("-----").map_or(text.len(), |at| end_label + at + "-----".len())
        });
        if text[label..label_end].contains("PRIVATE KEY") {
            found.push(begin..end);
        }
        from = end.max(label);
    }
}

/// Finds the numbers of payment cards (ISO/IEC 7812): their issuer, length and check digit are right.
pub fn find_cards(text: &str, found: &mut Vec<Range<usize>>) {
    const DIGITS: std::ops::RangeInclusive<usize> = CARD_DIGITS..=19;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let mut digits = [0; 20];
        let mut count = 0;
        let mut end = at;
        let mut next = at;
        while next < bytes.len() && count < digits.len() {
            match bytes[next] {
                digit @ b'0'..=b'9' => {
                    digits[count] = digit - b'0';
                    count += 1;
                    end = next + 1;
                }
                // One separator stands between two groups.
                b' ' | b'-' if next == end => {}
                _ => break,
            }
            next += 1;
        }
        let is_apart = (at == 0 || !is_part_of_word(bytes[at - 1]))
            && bytes.get(end).is_none_or(|byte| !is_part_of_word(*byte) || *byte == b'.');
        let digits = &digits[..count];
        if is_apart && DIGITS.contains(&count) && is_card(digits) && is_grouped(&bytes[at..end]) {
            found.push(at..end);
        }
        at = end;
    }
}

fn is_part_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/')
}

/// Returns whether the digits stand together, or in groups as on a card: of four, or of 4, 6 and 5 or 4.
fn is_grouped(text: &[u8]) -> bool {
    let groups: Vec<usize> = text.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).collect();
    match groups.as_slice() {
        [_] | [4, 6, 4 | 5] => true,
        [first @ .., last] => first.iter().all(|length| *length == 4) && *last <= 4,
        [] => false,
    }
}

fn is_card(digits: &[u8]) -> bool {
    let number = |count: usize| digits[..count].iter().fold(0, |number, digit| number * 10 + u32::from(*digit));
    let is_issued = match (digits.len(), digits[0]) {
        (16 | 19, 4) => true,
        (16, 5) => (51..=55).contains(&number(2)),
        (16, 2) => (2221..=2720).contains(&number(4)),
        (15, 3) => matches!(number(2), 34 | 37),
        (14, 3) => matches!(number(2), 36 | 38) || (300..=305).contains(&number(3)),
        (16, 3) => (3528..=3589).contains(&number(4)),
        (16..=19, 6) => number(4) == 6011 || number(2) == 65 || (644..=649).contains(&number(3)) || number(2) == 62,
        _ => false,
    };
    is_issued && luhn(digits)
}

/// Returns whether the check digit is right (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(*digit) * (1 + place as u32 % 2) {
            large @ 10.. => large - 9,
            small => small,
        })
        .sum();
    sum.is_multiple_of(10)
}

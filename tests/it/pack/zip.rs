//! The zip of a pack: every program unpacks the same files from it, and both verifiers refuse what could be read otherwise.

mod form;
mod malformed;
mod readers;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use flate2::{Compress, Compression, Crc, FlushCompress};
use serde_json::json;
use sha2::{Digest, Sha256};

use audit_harness::database::Database;

use self::form::Zip;
use self::malformed::MALFORMED;
use self::readers::read_all;
use crate::pack::proof::{Made, agreed, append, now};
use crate::support::{Random, unzip};

/// A pack, as `audit-sidecar pack` writes it.
async fn one_pack() -> Made {
    let db = Database::new();
    let client = db.connect().await;
    let mut made = Made::begin(&db);
    append(&client, "acme", 60).await;
    let until = now(&client).await;
    made.sign();
    made.pack("access-review", "acme", &["--since", "2023-01-01", "--until", &until]);
    made
}

#[tokio::test]
async fn programs_unpack_packs_alike_and_verifiers_refuse_other_zips() {
    let made = one_pack().await;
    let good = made.packs[0].1.clone();
    let zip = Zip::parse(&fs::read(&good).unwrap());
    assert_eq!(zip.bytes(), fs::read(&good).unwrap());

    let mut files = vec![good.clone()];
    for (number, (_, _, make)) in MALFORMED.iter().enumerate() {
        files.push(write(&made, &format!("malformed-{number}.zip"), &make(zip.clone())));
    }
    let mut random = Random::new(8);
    for number in 0..200 {
        files.push(write(&made, &format!("changed-{number}.zip"), &changed(zip.clone(), &mut random)));
    }
    let python = made.python(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>(), true);
    let rust: Vec<_> = files.iter().map(|file| made.rust(file, true)).collect();

    assert_eq!((rust[0].0, &python[0]["result"]), (0, &json!("COMPLETE")), "{}", rust[0].1);
    let mut wrong = Vec::new();
    for (at, (what, rule, _)) in (1..).zip(MALFORMED) {
        let (code, report) = &rust[at];
        let whys =
            report["problems"].as_array().unwrap().iter().flat_map(|problems| problems["first"].as_array().unwrap());
        let is_named = whys.clone().any(|problem| problem["why"].as_str().unwrap().contains(rule));
        if *code != 1
            || !is_named
            || agreed(report) != agreed(&python[at])
            || agreed(report) != json!(["INVALID", "zip"])
        {
            wrong.push(format!("{what}: {rule}\n  {code} {report}\n  {}", python[at]));
        }
    }
    // Fields that say nothing are free: such a zip is valid, and still all unpack the same.
    let mut valid = vec![0];
    for at in MALFORMED.len() + 1..files.len() {
        if agreed(&rust[at].1) != agreed(&python[at]) {
            wrong.push(format!("{}\n  {:?}\n  {:?}", files[at].display(), rust[at], python[at]));
        }
        valid.extend((rust[at].0 == 0).then_some(at));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(valid.len() > 5, "{valid:?}");

    // Each rule is there because some program unpacks something else if it is broken, or because one refuses.
    let asked: Vec<usize> = (1..=MALFORMED.len()).chain(valid).collect();
    let paths: Vec<PathBuf> = asked.iter().map(|at| files[*at].clone()).collect();
    let content = hashes(&unzip(&fs::read(&good).unwrap()));
    let mut deceived = vec![false; MALFORMED.len() + 1];
    for (reader, unpacked) in read_all(&paths, made.folder.path()) {
        for (at, unpacked) in asked.iter().zip(unpacked) {
            let same = unpacked.as_ref() == Ok(&content);
            if *at == 0 || *at > MALFORMED.len() {
                assert!(same, "{reader}, {}: {unpacked:?}", files[*at].display());
            } else {
                deceived[*at] |= unpacked.is_ok_and(|files| files != content && !files.is_empty());
            }
        }
    }
    let deceived = deceived.iter().filter(|deceived| **deceived).count();
    assert!(deceived >= 20, "only {deceived} kinds deceive a reader");
}

/// Any one field of the zip changed, in both headers if both have it.
fn changed(mut zip: Zip, random: &mut Random) -> Vec<u8> {
    let at = random.below(zip.members.len());
    let bit = random.below(32) as u32;
    let member = &mut zip.members[at];
    match random.below(9) {
        0 => member.both(|header| header.time ^= 1 << bit),
        1 => member.central.made_by ^= 1 << (bit % 16),
        2 => member.both(|header| header.version ^= 1 << (bit % 6)),
        3 => member.both(|header| header.flags ^= 1 << (bit % 16)),
        4 => member.central.external ^= 1 << bit,
        5 => member.both(|header| header.name[0] ^= 1 << (bit % 8)),
        6 => member.central.internal ^= 1 << (bit % 16),
        7 => {
            let from = random.below(member.content.len());
            member.content[from] ^= 1 << (bit % 8);
        }
        _ => {
            let mut bytes = zip.bytes();
            let from = random.below(bytes.len());
            bytes[from] ^= 1 << (bit % 8);
            return bytes;
        }
    }
    zip.bytes()
}

fn write(made: &Made, name: &str, bytes: &[u8]) -> PathBuf {
    let path = made.folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn hashes(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    files.iter().map(|(name, content)| (name.clone(), hex(&Sha256::digest(content)))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many MiB the large file has: 1 MiB more than sizes of 32 bits can say.
const LARGE: u64 = 4097;

/// README.txt beyond 4 GiB: its sizes stand in a Zip64 field of the directory, and in a descriptor of
/// 24 bytes.
#[tokio::test]
#[ignore = "ten programs unpack 4 GiB each, which takes minutes: make test-thorough"]
async fn programs_unpack_more_than_4_gib_alike() {
    let made = one_pack().await;
    let bytes = fs::read(&made.packs[0].1).unwrap();
    let mut zip = Zip::parse(&bytes);
    let mut content = hashes(&unzip(&bytes));

    let block = vec![0; 1 << 20];
    let mut deflate = Compress::new(Compression::best(), false);
    let mut packed = Vec::with_capacity(1 << 16);
    deflate.compress_vec(&block, &mut packed, FlushCompress::Full).unwrap();
    let mut stream = packed.repeat(LARGE as usize);
    // The last block, which is empty.
    stream.extend([3, 0]);
    let (mut crc, mut hash) = (Crc::new(), Sha256::new());
    for _ in 0..LARGE {
        crc.update(&block);
        hash.update(&block);
    }
    let (size, sha256) = (LARGE << 20, hex(&hash.finalize()));

    let mut manifest: serde_json::Value = serde_json::from_slice(&unzip(&bytes)["manifest.json"]).unwrap();
    let listed =
        manifest["files"].as_array_mut().unwrap().iter_mut().find(|file| file["name"] == "README.txt").unwrap();
    (listed["bytes"], listed["sha256"]) = (size.into(), sha256.clone().into());
    let manifest = serde_json::to_vec(&manifest).unwrap();
    zip.members.pop();
    zip.order.pop();
    zip.add(b"manifest.json", &manifest);
    content.insert("manifest.json".to_owned(), hex(&Sha256::digest(&manifest)));
    content.insert("README.txt".to_owned(), sha256);

    let member = zip.member("README.txt");
    member.descriptor = b"PK\x07\x08".to_vec();
    member.descriptor.extend(crc.sum().to_le_bytes());
    [stream.len() as u64, size].iter().for_each(|size| member.descriptor.extend(size.to_le_bytes()));
    member.central.extra = [&[1, 0, 16, 0], &size.to_le_bytes()[..], &(stream.len() as u64).to_le_bytes()].concat();
    (member.central.crc, member.central.version) = (crc.sum(), 45);
    (member.central.bytes, member.central.packed) = (u32::MAX, u32::MAX);
    member.content = stream;
    let file = write(&made, "large.zip", &zip.bytes());

    // The zip is one of a pack, although no README is that large.
    let (_, report) = made.rust(&file, true);
    assert_eq!(agreed(&report), json!(["INVALID", "files"]), "{report}");
    for (reader, unpacked) in read_all(&[file], made.folder.path()) {
        // libarchive 3.6 looks for sizes of 8 bytes only if the local header has a Zip64 field. It refuses.
        let refuses = reader == "bsdtar from a pipe" && unpacked[0].is_err();
        assert!(refuses || unpacked[0].as_ref() == Ok(&content), "{reader}: {unpacked:?}");
    }
}

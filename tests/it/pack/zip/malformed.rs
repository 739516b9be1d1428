//! Zips that are not in the form of a pack: what is done to a good one, and the rule that it breaks, as both verifiers say it.

use super::form::{End, Member, Zip};

/// A kind of malformed zip: what it is, the rule, and how it is made of a good pack.
pub type Malformed = (&'static str, &'static str, fn(Zip) -> Vec<u8>);

const EVENTS: &str = "events.json";
const TABLE: &str = "events.csv";
const FORGED: &[u8] = b"forged\n";

const NOT_LAST: &str = "the file does not end with the end record";
const DIRECTORY_END: &str = "the directory does not end where the end record begins";
const ENTRY_START: &str = "an entry does not begin where the one before it ends";
const DIRECTORY_START: &str = "the directory does not begin where the last entry ends";
const EXTRA: &str = "an entry has an extra field that is not allowed";
const ATTRIBUTES: &str = "an entry is not a regular file with mode 0644";
const FLAGS: &str = "an entry has flags that are not allowed";
const METHOD: &str = "an entry is neither stored nor deflated";
const DESCRIPTOR: &str = "a data descriptor differs from the directory";
const NO_DESCRIPTOR: &str = "a data descriptor is missing";
const NAME: &str = "the name of an entry is malformed";
const CASE: &str = "two names differ only in case";
const FOLDER: &str = "a name is that of a file and of a folder";
const NEEDLESS: &str = "a Zip64 field stands where none is needed";

pub const MALFORMED: &[Malformed] = &[
    // The whole file.
    (
        "forged entries, the good zip, the forged directory, and counts that differ",
        "counts the entries in two ways",
        two_packs,
    ),
    ("a forged zip before the good one", DIRECTORY_END, |zip| [forged(&zip).bytes(), zip.bytes()].concat()),
    ("a forged zip behind the good one", DIRECTORY_END, |zip| [zip.bytes(), forged(&zip).bytes()].concat()),
    ("the good zip as the comment of a forged one", DIRECTORY_END, |zip| {
        with(forged(&zip), |forged| forged.end.comment = zip.bytes())
    }),
    ("a forged zip as the comment of the good one", DIRECTORY_END, |zip| {
        let forged = forged(&zip).bytes();
        with(zip, |zip| zip.end.comment = forged)
    }),
    ("the good zip in the gap before a forged directory", DIRECTORY_START, |zip| {
        with(forged(&zip), |forged| forged.before_directory = zip.bytes())
    }),
    ("a program before it, which offsets do not count", DIRECTORY_END, |zip| {
        [b"#!/bin/sh\n", &zip.bytes()[..]].concat()
    }),
    ("a program before it, which offsets count", ENTRY_START, |zip| {
        with(zip, |zip| zip.before = b"#!/bin/sh\n".to_vec())
    }),
    ("a byte behind it", NOT_LAST, |zip| with(zip, |zip| zip.after = vec![0])),
    ("a kilobyte behind it", NOT_LAST, |zip| with(zip, |zip| zip.after = vec![b'\n'; 1024])),
    ("a comment", NOT_LAST, |zip| with(zip, |zip| zip.end.comment = b"a comment".to_vec())),
    ("a comment that is not there", "the end record has a comment", |zip| end(zip, |end| end.comment_length = Some(9))),
    ("the end record twice", DIRECTORY_END, |zip| {
        let bytes = zip.bytes();
        [&bytes[..], &bytes[bytes.len() - 22..]].concat()
    }),
    // The end record.
    ("fewer entries on this disk", "counts the entries in two ways", |zip| end(zip, |end| end.here = Some(1))),
    ("more entries on this disk", "counts the entries in two ways", |zip| end(zip, |end| end.here = Some(60))),
    ("one entry less", "the directory has bytes that belong to no entry", |zip| {
        let entries = zip.order.len() as u16 - 1;
        end(zip, |end| end.entries = Some(entries))
    }),
    ("one entry more", "a header of the directory is missing", |zip| {
        let entries = zip.order.len() as u16 + 1;
        end(zip, |end| end.entries = Some(entries))
    }),
    ("no entries", "there are no entries, or more than 64", |zip| end(zip, |end| end.entries = Some(0))),
    ("65 entries", "there are no entries, or more than 64", |zip| {
        with(zip, |zip| (zip.order.len()..65).for_each(|n| zip.add(format!("file-{n}").as_bytes(), FORGED)))
    }),
    ("another disk", "the end record names another disk", |zip| end(zip, |end| end.disk = 1)),
    ("a directory on another disk", "the end record names another disk", |zip| end(zip, |end| end.directory_disk = 1)),
    ("a directory that is shorter", DIRECTORY_END, |zip| end(zip, |end| end.length = Some(90))),
    ("a directory of 4 GiB", "the directory is longer than its entries can be", |zip| {
        end(zip, |end| end.length = Some(u32::MAX))
    }),
    ("a directory that begins elsewhere", DIRECTORY_END, |zip| end(zip, |end| end.start = Some(7))),
    ("a Zip64 offset without a record", "a Zip64 record is missing", |zip| end(zip, |end| end.start = Some(u32::MAX))),
    ("Zip64 records that nothing needs", DIRECTORY_END, |zip| with_zip64_end(zip, None)),
    ("Zip64 records for a small offset", NEEDLESS, |zip| with_zip64_end(zip, Some(u32::MAX))),
    // Gaps and overlaps.
    ("a gap between entries", ENTRY_START, |zip| with(zip, |zip| zip.members[1].after = vec![0; 12])),
    ("a gap before the directory", DIRECTORY_START, |zip| with(zip, |zip| zip.before_directory = vec![0; 12])),
    ("a gap behind the directory", DIRECTORY_END, |zip| with(zip, |zip| zip.after_directory = vec![0; 12])),
    ("a signature behind the directory", "the directory has bytes that belong to no entry", |zip| {
        let length = zip.members.iter().map(|member| 46 + member.central.name.len()).sum::<usize>() as u32 + 6;
        with(zip, |zip| (zip.after_directory, zip.end.length) = (b"PK\x05\x05\0\0".to_vec(), Some(length)))
    }),
    ("an entry that is not listed", ENTRY_START, |zip| with(zip, |zip| zip.order.retain(|index| *index != 1))),
    ("an entry at the end that is not listed", DIRECTORY_START, |zip| {
        with(zip, |zip| zip.order.truncate(zip.members.len() - 1))
    }),
    ("an entry that is listed twice", ENTRY_START, |zip| with(zip, |zip| zip.order.insert(1, 0))),
    ("two entries over one content", ENTRY_START, |zip| {
        with(zip, |zip| {
            let offset = zip.members[0].local.name.len() as u32 + 30;
            zip.members[1].central.offset = Some(offset);
        })
    }),
    ("a directory in another order", ENTRY_START, |zip| with(zip, |zip| zip.order.swap(1, 2))),
    ("an offset into the directory", ENTRY_START, |zip| {
        let offset = (zip.bytes().len() - 100) as u32;
        with(zip, |zip| zip.members[2].central.offset = Some(offset))
    }),
    ("a content that runs into the directory", "an entry runs into the directory", |zip| {
        with(zip, |zip| zip.members.last_mut().unwrap().central.packed += 100)
    }),
    ("a local header without its signature", "a local header is missing", |zip| {
        member(zip, EVENTS, |member| member.local.signature = *b"PK\x03\x03")
    }),
    ("a central header without its signature", "a header of the directory is missing", |zip| {
        member(zip, EVENTS, |member| member.central.signature = *b"PK\x02\x02")
    }),
    // What local and central headers say.
    ("another name in the local header", "differ in name", |zip| {
        member(zip, EVENTS, |member| member.local.name = b"events.txt".to_vec())
    }),
    ("another name in the central header", "differ in name", |zip| {
        member(zip, EVENTS, |member| member.central.name = b"EVENTS.json".to_vec())
    }),
    ("another version in the local header", "differ in version", |zip| {
        member(zip, EVENTS, |member| member.local.version = 10)
    }),
    ("other flags in the local header", "differ in flags", |zip| member(zip, TABLE, |member| member.local.flags = 8)),
    ("other flags in the central header", "differ in flags", |zip| {
        member(zip, TABLE, |member| member.central.flags = 8)
    }),
    ("stored by the local header", "differ in method", |zip| member(zip, TABLE, |member| member.local.method = 0)),
    ("stored by the central header", "differ in method", |zip| member(zip, TABLE, |member| member.central.method = 0)),
    ("another time in the local header", "differ in time", |zip| {
        member(zip, EVENTS, |member| member.local.time ^= 1 << 21)
    }),
    ("another CRC in the local header", "differ in CRC", |zip| member(zip, TABLE, |member| member.local.crc ^= 1)),
    ("another size in the local header", "differ in sizes", |zip| member(zip, TABLE, |member| member.local.bytes -= 1)),
    ("another compressed size in the local header", "differ in sizes", |zip| {
        member(zip, TABLE, |member| member.local.packed -= 1)
    }),
    ("sizes in the local header and behind", "an entry has sizes before and in a descriptor", |zip| {
        member(zip, EVENTS, |member| {
            (member.local.packed, member.local.bytes) = (member.central.packed, member.central.bytes)
        })
    }),
    // Fields.
    ("encrypted", FLAGS, |zip| flags(zip, 1)),
    ("a compression option", FLAGS, |zip| flags(zip, 1 << 1)),
    ("patch data", FLAGS, |zip| flags(zip, 1 << 5)),
    ("strong encryption", FLAGS, |zip| flags(zip, 1 << 6)),
    ("a name in UTF-8", FLAGS, |zip| flags(zip, 1 << 11)),
    ("a masked directory", FLAGS, |zip| flags(zip, 1 << 13)),
    ("imploded", METHOD, |zip| method(zip, 6)),
    ("deflate64", METHOD, |zip| method(zip, 9)),
    ("bzip2", METHOD, |zip| method(zip, 12)),
    ("Zstandard", METHOD, |zip| method(zip, 93)),
    ("a version to come", "an entry needs another version than its form", |zip| {
        member(zip, EVENTS, |member| member.both(|header| header.version = 63))
    }),
    ("the version of Zip64", "an entry needs another version than its form", |zip| {
        member(zip, TABLE, |member| member.both(|header| header.version = 45))
    }),
    ("made by MS-DOS", "a record is not made by Unix", |zip| member(zip, EVENTS, |member| member.central.made_by = 20)),
    ("a comment of an entry", "an entry has a comment", |zip| {
        member(zip, EVENTS, |member| member.central.comment = b"a comment".to_vec())
    }),
    ("an entry on another disk", "an entry is on another disk", |zip| {
        member(zip, EVENTS, |member| member.central.disk = 1)
    }),
    ("text by its attributes", "an entry has internal attributes", |zip| {
        member(zip, EVENTS, |member| member.central.internal = 1)
    }),
    ("a link by its mode", ATTRIBUTES, |zip| mode(zip, 0o120_777 << 16)),
    ("a folder by its mode", ATTRIBUTES, |zip| mode(zip, 0o040_755 << 16)),
    ("a device by its mode", ATTRIBUTES, |zip| mode(zip, 0o020_644 << 16)),
    ("a pipe by its mode", ATTRIBUTES, |zip| mode(zip, 0o010_644 << 16)),
    ("run as its owner", ATTRIBUTES, |zip| mode(zip, 0o104_755 << 16)),
    ("a folder by its MS-DOS attributes", ATTRIBUTES, |zip| mode(zip, 0o100_644 << 16 | 0x10)),
    // Extra fields.
    ("a Unicode path in the directory", EXTRA, |zip| {
        member(zip, EVENTS, |member| member.central.extra = unicode_path(&member.central.name))
    }),
    ("a Unicode path in both headers", EXTRA, |zip| {
        member(zip, EVENTS, |member| member.both(|header| header.extra = unicode_path(&header.name)))
    }),
    ("a Unicode path in the local header", EXTRA, |zip| {
        member(zip, EVENTS, |member| member.local.extra = unicode_path(&member.local.name))
    }),
    ("a time in an extra field", EXTRA, |zip| {
        member(zip, EVENTS, |member| member.both(|header| header.extra = b"UT\x05\0\x01\0\0\0\x60".to_vec()))
    }),
    ("an extra field of a length that is cut", EXTRA, |zip| {
        member(zip, EVENTS, |member| member.both(|header| header.extra = b"\x01\0\xff\xff".to_vec()))
    }),
    ("a Zip64 field in the local header alone", EXTRA, |zip| {
        member(zip, TABLE, |member| member.local.extra = zip64(&[0, 0]))
    }),
    ("a Zip64 field before a descriptor", EXTRA, |zip| {
        member(zip, EVENTS, |member| member.local.extra = zip64(&[0, 0]))
    }),
    ("a Zip64 field with other sizes than the header", EXTRA, |zip| {
        member(zip, TABLE, |member| member.both(|header| header.extra = zip64(&[7, 7])))
    }),
    ("a Zip64 field that nothing needs", NEEDLESS, |zip| {
        member(zip, TABLE, |member| {
            let sizes = [member.central.bytes.into(), member.central.packed.into()];
            member.both(|header| {
                (header.bytes, header.packed, header.version) = (u32::MAX, u32::MAX, 45);
                header.extra = zip64(&sizes);
            });
        })
    }),
    ("a Zip64 field for one size", "a Zip64 field has one size only", |zip| {
        member(zip, TABLE, |member| {
            let size = member.central.bytes.into();
            member.both(|header| (header.bytes, header.extra, header.version) = (u32::MAX, zip64(&[size]), 45));
        })
    }),
    ("a Zip64 field for a small offset", NEEDLESS, |zip| {
        member(zip, "README.txt", |member| {
            (member.central.offset, member.central.extra) = (Some(u32::MAX), zip64(&[0]));
            member.central.version = 45;
        })
    }),
    ("Zip64 sizes without a field", "a record is cut short", |zip| {
        member(zip, EVENTS, |member| (member.central.bytes, member.central.packed) = (u32::MAX, u32::MAX))
    }),
    // Data descriptors.
    ("a stored entry with a descriptor", "a stored entry has a data descriptor", |zip| {
        member(zip, EVENTS, |member| member.both(|header| header.method = 0))
    }),
    ("no descriptor", NO_DESCRIPTOR, |zip| member(zip, EVENTS, |member| member.descriptor.clear())),
    ("a descriptor without its signature", NO_DESCRIPTOR, |zip| {
        member(zip, EVENTS, |member| drop(member.descriptor.drain(..4)))
    }),
    ("a descriptor with sizes of 8 bytes", DESCRIPTOR, |zip| {
        member(zip, EVENTS, |member| {
            member.descriptor.truncate(8);
            for size in [member.central.packed, member.central.bytes] {
                member.descriptor.extend(u64::from(size).to_le_bytes());
            }
        })
    }),
    ("another CRC in the descriptor", DESCRIPTOR, |zip| member(zip, EVENTS, |member| member.descriptor[4] ^= 1)),
    ("another size in the descriptor", DESCRIPTOR, |zip| member(zip, EVENTS, |member| member.descriptor[12] ^= 1)),
    ("another compressed size in the descriptor", DESCRIPTOR, |zip| {
        member(zip, EVENTS, |member| member.descriptor[8] ^= 1)
    }),
    // Contents.
    ("bytes behind a deflate stream", "bytes follow its deflate stream", |zip| {
        member(zip, EVENTS, |member| member.repack([&member.content[..], b"junk"].concat()))
    }),
    ("a second deflate stream", "bytes follow its deflate stream", |zip| {
        member(zip, TABLE, |member| member.repack(member.content.repeat(2)))
    }),
    ("a deflate stream that is cut", "its deflate stream does not end", |zip| {
        member(zip, TABLE, |member| member.repack(member.content[..member.content.len() - 1].to_vec()))
    }),
    ("a deflate block of no kind", "its deflate stream is malformed", |zip| {
        member(zip, TABLE, |member| member.content[0] |= 7)
    }),
    ("one byte less than unpacked", "its size is not the one in the zip", |zip| size(zip, |bytes| bytes - 1)),
    ("one byte more than unpacked", "its size is not the one in the zip", |zip| size(zip, |bytes| bytes + 1)),
    ("another CRC", "its CRC is not the one in the zip", |zip| {
        member(zip, TABLE, |member| member.both(|header| header.crc ^= 1))
    }),
    // Names.
    ("a name twice", "a name occurs twice", |zip| with(zip, |zip| zip.add(EVENTS.as_bytes(), FORGED))),
    ("a name in upper case", CASE, |zip| with(zip, |zip| zip.add(b"EVENTS.JSON", FORGED))),
    ("a file where a folder is", FOLDER, |zip| with(zip, |zip| zip.add(b"proof", FORGED))),
    ("a folder where a file is", FOLDER, |zip| with(zip, |zip| zip.add(b"Events.json/a", FORGED))),
    ("a full stop at the end", NAME, |zip| with(zip, |zip| zip.add(b"events.json.", FORGED))),
    ("a space at the end", NAME, |zip| with(zip, |zip| zip.add(b"events.json ", FORGED))),
    ("a backslash", NAME, |zip| with(zip, |zip| zip.add(b"proof\\log.json", FORGED))),
    ("a slash at the beginning", NAME, |zip| with(zip, |zip| zip.add(b"/events.json", FORGED))),
    ("a part of two full stops", NAME, |zip| with(zip, |zip| zip.add(b"proof/../events.json", FORGED))),
    ("a part of one full stop", NAME, |zip| with(zip, |zip| zip.add(b"./events.json", FORGED))),
    ("an empty part", NAME, |zip| with(zip, |zip| zip.add(b"proof//log.json", FORGED))),
    ("a folder", NAME, |zip| with(zip, |zip| zip.add(b"proof/", b""))),
    ("no name", NAME, |zip| with(zip, |zip| zip.add(b"", FORGED))),
    ("a zero byte", NAME, |zip| with(zip, |zip| zip.add(b"events.json\0.txt", FORGED))),
    ("a control character", NAME, |zip| with(zip, |zip| zip.add(b"events.json\x1b[2K", FORGED))),
    ("a letter that is not ASCII", NAME, |zip| with(zip, |zip| zip.add("\u{435}vents.json".as_bytes(), FORGED))),
    ("a drive", NAME, |zip| with(zip, |zip| zip.add(b"C:events.json", FORGED))),
    ("a stream of NTFS", NAME, |zip| with(zip, |zip| zip.add(b"events.json::$DATA", FORGED))),
    ("a device of Windows", NAME, |zip| with(zip, |zip| zip.add(b"proof/con", FORGED))),
    ("a device of Windows with an extension", NAME, |zip| with(zip, |zip| zip.add(b"Lpt1.tar.gz", FORGED))),
    ("201 characters", NAME, |zip| with(zip, |zip| zip.add(&[b'a'; 201], FORGED))),
];

fn with(mut zip: Zip, change: impl FnOnce(&mut Zip)) -> Vec<u8> {
    change(&mut zip);
    zip.bytes()
}

fn end(zip: Zip, change: impl FnOnce(&mut End)) -> Vec<u8> {
    with(zip, |zip| change(&mut zip.end))
}

fn member(zip: Zip, name: &str, change: impl FnOnce(&mut Member)) -> Vec<u8> {
    with(zip, |zip| change(zip.member(name)))
}

fn flags(zip: Zip, flag: u16) -> Vec<u8> {
    member(zip, TABLE, |member| member.both(|header| header.flags |= flag))
}

fn method(zip: Zip, method: u16) -> Vec<u8> {
    member(zip, TABLE, |member| member.both(|header| header.method = method))
}

fn mode(zip: Zip, external: u32) -> Vec<u8> {
    member(zip, EVENTS, |member| member.central.external = external)
}

/// Another size of the manifest, which has no size elsewhere.
fn size(zip: Zip, change: fn(u32) -> u32) -> Vec<u8> {
    member(zip, "manifest.json", |member| {
        member.central.bytes = change(member.central.bytes);
        member.descriptor[12..].copy_from_slice(&member.central.bytes.to_le_bytes());
    })
}

/// A zip with other content under the same names.
fn forged(zip: &Zip) -> Zip {
    let mut forged = zip.clone();
    forged.members.clear();
    forged.order.clear();
    for member in &zip.members {
        forged.members.push(member.clone());
        forged.add(&member.central.name, FORGED);
    }
    forged.members.retain(|member| member.content == FORGED);
    forged.order = (0..forged.members.len()).collect();
    forged
}

/// As it was done to this verifier: a reader that does not believe the last end record looks for another one.
fn two_packs(zip: Zip) -> Vec<u8> {
    let mut forged = forged(&zip);
    forged.before_directory = zip.bytes();
    forged.end.here = Some(1);
    forged.bytes()
}

fn with_zip64_end(mut zip: Zip, start: Option<u32>) -> Vec<u8> {
    let plain = zip.bytes();
    let end = &plain[plain.len() - 22..];
    let field = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let (entries, length, begin) = (zip.order.len() as u64, field(12), field(16));
    let mut records = b"PK\x06\x06".to_vec();
    records.extend(44_u64.to_le_bytes());
    records.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [entries, entries, length, begin].iter().for_each(|value| records.extend(value.to_le_bytes()));
    records.extend(b"PK\x06\x07\0\0\0\0");
    records.extend((begin + length).to_le_bytes());
    records.extend(1_u32.to_le_bytes());
    zip.after_directory = records;
    zip.end.start = start;
    zip.bytes()
}

/// Another name, for readers that know this field.
fn unicode_path(name: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    let mut field = b"up".to_vec();
    field.extend((5 + 10_u16).to_le_bytes());
    field.push(1);
    field.extend(crc.sum().to_le_bytes());
    field.extend(b"forged.txt");
    field
}

fn zip64(values: &[u64]) -> Vec<u8> {
    let mut field = 1_u16.to_le_bytes().to_vec();
    field.extend((values.len() as u16 * 8).to_le_bytes());
    values.iter().for_each(|value| field.extend(value.to_le_bytes()));
    field
}

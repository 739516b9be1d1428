//! What other programs unpack from a zip.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

/// Names and SHA-256 of the files that a program unpacks without an error or a warning; otherwise what it says.
pub type Unpacked = Result<BTreeMap<String, String>, String>;

/// Programs that unpack one zip into a folder.
const UNPACKERS: [&str; 5] = ["unzip", "7zz", "bsdtar", "bsdtar from a pipe", "busybox"];

/// Programs that read many zips: they take a line of these arguments, and the files.
const LIBRARIES: [(&str, &[&str]); 4] = [
    ("Python zipfile", &["python3", "read_zip.py"]),
    ("Java ZipFile", &["java", "-XX:TieredStopAtLevel=1", "ReadZip.java", "file"]),
    ("Java ZipInputStream", &["java", "-XX:TieredStopAtLevel=1", "ReadZip.java", "stream"]),
    ("Go archive/zip", &["go", "run", "read_zip.go"]),
];

/// What each program unpacks from each of the files, in their order. The folder is for what they write.
pub fn read_all(files: &[PathBuf], folder: &Path) -> Vec<(&'static str, Vec<Unpacked>)> {
    let by_command = UNPACKERS.map(|name| {
        let unpacked = files.iter().map(|file| unpack(name, file, &folder.join("unpacked"))).collect();
        (name, unpacked)
    });
    let by_library = LIBRARIES.map(|(name, command)| (name, read(command, files, folder)));
    by_command.into_iter().chain(by_library).collect()
}

fn unpack(name: &str, file: &Path, into: &Path) -> Unpacked {
    fs::create_dir(into).unwrap();
    let arguments: &[&str] = match name {
        "unzip" => &["unzip", "-qq", "-o", "FILE", "-d", "INTO"],
        "7zz" => &["7zz", "x", "-y", "-bso0", "-bsp0", "-oINTO", "FILE"],
        "bsdtar" => &["bsdtar", "-xf", "FILE", "-C", "INTO"],
        "bsdtar from a pipe" => &["bsdtar", "-xf", "-", "-C", "INTO"],
        _ => &["busybox", "unzip", "-q", "-o", "FILE", "-d", "INTO"],
    };
    let filled = arguments[1..]
        .iter()
        .map(|argument| argument.replace("FILE", file.to_str().unwrap()).replace("INTO", into.to_str().unwrap()));
    let mut command = Command::new(arguments[0]);
    command.args(filled);
    // Of bsdtar, which tells a pipe from a file by whether it can seek.
    if name.ends_with("pipe") {
        let mut source = Command::new("cat").arg(file).stdout(Stdio::piped()).spawn().unwrap();
        command.stdin(source.stdout.take().unwrap());
        let said = run(&mut command);
        source.wait().unwrap();
        return collect(said, into);
    }
    collect(run(command.stdin(Stdio::null())), into)
}

/// The files below the folder, which is removed.
fn collect(said: Output, into: &Path) -> Unpacked {
    let mut files = BTreeMap::new();
    let mut folders = vec![into.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(into).unwrap().to_string_lossy().into_owned();
                files.insert(name, if kind.is_file() { hash(&path) } else { "no regular file".to_owned() });
            }
        }
    }
    fs::remove_dir_all(into).unwrap();
    if said.status.success() && said.stderr.is_empty() {
        return Ok(files);
    }
    Err(format!("{}: {}", said.status, String::from_utf8_lossy(&said.stderr)))
}

fn hash(path: &Path) -> String {
    let mut hash = Sha256::new();
    let (mut file, mut block) = (File::open(path).unwrap(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut block).unwrap() {
            0 => break,
            length => hash.update(&block[..length]),
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(command: &[&str], files: &[PathBuf], folder: &Path) -> Vec<Unpacked> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../readers");
    let output = run(Command::new(command[0])
        .args(&command[1..])
        .args(files)
        .current_dir(scripts)
        .env("GOCACHE", folder.join("go"))
        .env("GO111MODULE", "off"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let mut unpacked: BTreeMap<&str, Unpacked> = BTreeMap::new();
    for line in said.lines() {
        // Names in malformed zips may hold tabs and line feeds: such a line tells nothing, and the names differ anyway.
        let Some((path, rest)) = line.split_once('\t') else { continue };
        let (name, value) = rest.rsplit_once('\t').unwrap_or((rest, ""));
        let files = unpacked.entry(path).or_insert_with(|| Ok(BTreeMap::new()));
        match files {
            _ if name == "!" => *files = Err(value.to_owned()),
            Ok(files) => drop(files.insert(name.to_owned(), value.to_owned())),
            Err(_) => (),
        }
    }
    let of = |file: &PathBuf| unpacked.remove(file.to_str().unwrap()).unwrap_or_else(|| Ok(BTreeMap::new()));
    files.iter().map(of).collect()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot run: {error}; make deps installs it"))
}

//! Checkpoints: which ones are accepted, and which signatures are valid.

use audit_proof::checkpoint::{Checkpoint, Error, Key, Kind, Signed, cosigned, key_id, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use signed_note::{Note, StandardSigner};

const ORIGIN: &str = "audit.example.com";

/// A log or witness with a key derived from a number.
struct Party {
    name: &'static str,
    key: SigningKey,
}

impl Party {
    fn new(name: &'static str, seed: u8) -> Self {
        Self { name, key: SigningKey::from_bytes(&[seed; 32]) }
    }

    fn key(&self, kind: Kind) -> Key {
        Key::new(self.name, kind, &self.key.verifying_key().to_bytes()).unwrap()
    }

    fn sign(&self, text: &str) -> String {
        self.line(Kind::Log, &self.key.sign(text.as_bytes()).to_bytes())
    }

    fn cosign(&self, text: &str, at: u64) -> String {
        let signature = self.key.sign(cosigned(text, at).as_bytes()).to_bytes();
        self.line(Kind::Witness, &[&at.to_be_bytes()[..], &signature].concat())
    }

    fn line(&self, kind: Kind, signature: &[u8]) -> String {
        let id = key_id(self.name, kind, &self.key.verifying_key().to_bytes());
        format!("— {} {}\n", self.name, STANDARD.encode([&id.to_be_bytes(), signature].concat()))
    }
}

fn log() -> Party {
    Party::new(ORIGIN, 1)
}

fn witness() -> Party {
    Party::new("witness.example.org", 2)
}

fn note() -> String {
    let text = text(ORIGIN, 123, &[7; 32]);
    format!("{text}\n{}{}", log().sign(&text), witness().cosign(&text, 1_790_000_000))
}

#[test]
fn log_and_witness_have_signed() {
    let checkpoint = Checkpoint::parse(note().as_bytes()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size(), checkpoint.root()), (ORIGIN, 123, [7; 32]));
    assert_eq!(checkpoint.text(), "audit.example.com\n123\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n");
    assert_eq!(checkpoint.verify(&log().key(Kind::Log)), Ok(Signed { at: None }));
    assert_eq!(checkpoint.verify(&witness().key(Kind::Witness)), Ok(Signed { at: Some(1_790_000_000) }));
}

#[test]
fn another_implementation_signs_the_same() {
    let (log, text) = (log(), text(ORIGIN, 123, &[7; 32]));
    let public = log.key.verifying_key().to_bytes();
    let private = STANDARD.encode([&[1], &log.key.to_bytes()[..]].concat());
    let signer =
        StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{:08x}+{private}", key_id(ORIGIN, Kind::Log, &public)));
    let mut theirs = Note::new(text.as_bytes(), &[]).unwrap();
    theirs.add_sigs(&[&signer.unwrap()]).unwrap();
    assert_eq!(theirs.to_bytes(), format!("{text}\n{}", log.sign(&text)).into_bytes());
    let vkey = signed_note::new_ed25519_verifier_key(ORIGIN, &log.key.verifying_key());
    assert_eq!(log.key(Kind::Log).encoded(), vkey);
}

#[test]
fn other_keys_have_not_signed() {
    let checkpoint = Checkpoint::parse(note().as_bytes()).unwrap();
    let unsigned = |key: Key| assert_eq!(checkpoint.verify(&key), Err(Error::Unsigned { key: key.to_string() }));
    unsigned(Party::new(ORIGIN, 3).key(Kind::Log));
    unsigned(Party::new("witness.example.org", 3).key(Kind::Witness));
    // The same public key with another key type.
    unsigned(log().key(Kind::Witness));
    let error = checkpoint.verify(&witness().key(Kind::Log)).unwrap_err();
    assert!(matches!(error, Error::Origin { .. }), "{error}");
}

#[test]
fn signatures_are_valid_for_one_text_only() {
    let (log, witness) = (log(), witness());
    let signed = text(ORIGIN, 123, &[7; 32]);
    for other in [text(ORIGIN, 124, &[7; 32]), text(ORIGIN, 123, &[8; 32]), format!("{signed}more\n")] {
        let note = format!("{other}\n{}{}", log.sign(&signed), witness.cosign(&signed, 5));
        let checkpoint = Checkpoint::parse(note.as_bytes()).unwrap();
        for key in [log.key(Kind::Log), witness.key(Kind::Witness)] {
            assert_eq!(checkpoint.verify(&key), Err(Error::Signature { key: key.to_string() }));
        }
    }
}

#[test]
fn every_changed_bit_of_a_signature_is_found() {
    let text = text(ORIGIN, 123, &[7; 32]);
    let (log, witness) = (log(), witness());
    let good = log.key.sign(text.as_bytes()).to_bytes();
    let cosigned = [&5_u64.to_be_bytes()[..], &witness.key.sign(cosigned(&text, 5).as_bytes()).to_bytes()].concat();
    for (party, kind, signature) in [(&log, Kind::Log, &good[..]), (&witness, Kind::Witness, &cosigned)] {
        let verify = |signature: &[u8]| {
            let note = format!("{text}\n{}", party.line(kind, signature));
            Checkpoint::parse(note.as_bytes()).unwrap().verify(&party.key(kind))
        };
        assert!(verify(signature).is_ok());
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&changed), Err(Error::Signature { key: party.key(kind).to_string() }), "bit {bit}");
        }
        assert!(verify(&signature[1..]).is_err());
        assert!(verify(&[signature, &[0]].concat()).is_err());
        assert!(verify(&signature[..1]).is_err());
    }
}

#[test]
fn invalid_checkpoints_are_refused() {
    let signed = |text: &str| format!("{text}\n{}", log().sign(text));
    let root = STANDARD.encode([7; 32]);
    assert!(Checkpoint::parse(signed(&format!("{ORIGIN}\n0\n{root}\nextension\n")).as_bytes()).is_ok());
    for body in [
        format!("{ORIGIN}\n01\n{root}\n"),
        format!("{ORIGIN}\n+1\n{root}\n"),
        format!("{ORIGIN}\n-1\n{root}\n"),
        format!("{ORIGIN}\n9223372036854775808\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n1\n{}\n", STANDARD.encode([7; 31])),
        format!("{ORIGIN}\n1\n{}\n", root.trim_end_matches('=')),
        format!("{ORIGIN}\n1\n{root} \n"),
        format!("\n1\n{root}\n"),
        format!("{ORIGIN}\n1\n"),
        format!("{ORIGIN}\n1\n{root}\n\nmore\n"),
    ] {
        assert_eq!(Checkpoint::parse(signed(&body).as_bytes()).unwrap_err(), Error::Body, "{body}");
    }
    let good = note();
    for bytes in ["", "\n", "\n\n", good.trim_end(), &good.replace('\n', "\r\n"), &good.replace('—', "-")] {
        assert_eq!(Checkpoint::parse(bytes.as_bytes()).unwrap_err(), Error::Note, "{bytes}");
    }
    let without_signatures = format!("{}\n", text(ORIGIN, 123, &[7; 32]));
    assert_eq!(Checkpoint::parse(without_signatures.as_bytes()).unwrap_err(), Error::Note);
    for at in 0..good.len() {
        let _ = Checkpoint::parse(&good.as_bytes()[..at]);
    }
}

#[test]
fn keys_are_parsed_from_their_text() {
    for kind in [Kind::Log, Kind::Witness] {
        let key = log().key(kind);
        let text = key.encoded();
        let back = Key::parse(&text).unwrap();
        assert_eq!((back.name(), back.id(), back.kind(), back.encoded()), (ORIGIN, key.id(), kind, text.clone()));
        assert_eq!(text, format!("{key}+{}", text.rsplit('+').next().unwrap()));
        for changed in [
            text.replacen("audit", "Audit", 1),
            text.replacen('+', "", 1),
            text.replacen('+', " +", 1),
            text.to_uppercase(),
            format!("{text}="),
            format!(" {text}"),
            format!("{text}\n"),
            text[..text.len() - 1].to_owned(),
            String::new(),
        ] {
            assert!(Key::parse(&changed).is_err(), "{changed}");
        }
    }
    // Refused keys: bytes that are no public key, an unknown type, and names that a signature line cannot hold.
    let typed = |kind: u8| STANDARD.encode([&[kind][..], &[1; 32]].concat());
    assert!(Key::parse(&format!("a+00000000+{}", typed(1))).is_err());
    assert!(
        Key::parse(&format!("a+{:08x}+{}", signed_note::key_id("a", &[&[2][..], &[1; 32]].concat()), typed(2)))
            .is_err()
    );
    let public = log().key.verifying_key().to_bytes();
    for name in ["", "a b", "a+b", "a\u{2003}b"] {
        assert!(Key::new(name, Kind::Log, &public).is_err(), "{name}");
    }
}

/// A private key in the place of the public one must not reach a log or a screen.
#[test]
fn a_private_key_is_not_shown() {
    let text = "PRIVATE+KEY+audit.example.com/log+f8ac7e65+AXOscb9mbiNdClMBxrGHBTWbnKUmzZvfk5JGGMCCDhaH";
    for text in [text.to_owned(), format!(" {text}\n")] {
        let error = Key::parse(&text).unwrap_err();
        assert_eq!(error, Error::PrivateKey);
        assert!(!error.to_string().contains("AXOscb"), "{error}");
    }
}

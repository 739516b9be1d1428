//! The bytes of an audit event, and the proofs over them.
//!
//! An event becomes one line of JSON ([`Event::write_line`]). [`Line::parse`] reads a line back into slices of itself.
//! It serializes nothing anew, so every hash is over bytes that a reader can see. A field can be withheld from a line,
//! or the whole line reduced to a stub. Its leaf hash stays the same. `FORMAT.md` beside this crate has the rules. The
//! writer and the verifier share this implementation.
//!
//! Leaf hashes are the leaves of a workspace log, a Merkle tree ([`tree`]). Its size and root are its [`head::Head`]. A
//! signed head is a [`checkpoint`]. [`pack`] checks what all of them prove together about an evidence pack.
//!
//! This crate does no I/O, reads no clock and generates no random bytes.
//!
//! ```
//! use audit_proof::{Event, Field, Line, Source};
//!
//! let event = Event {
//!     id: 1,
//!     workspace: "acme",
//!     occurred_at: 1_741_944_413_589_793,
//!     recorded_at: 1_741_944_413_589_793,
//!     category: "auth",
//!     action: "login",
//!     outcome: "success",
//!     actor: Some("dana@example.com"),
//!     targets: ["user:17"],
//!     source: Source { ip: Some("203.0.113.9"), ..Source::default() },
//!     details: r#"{"method": "password"}"#,
//!     salt: [7; 16].into(),
//!     leaf: None,
//! };
//! let mut text = Vec::new();
//! event.write_line(&mut text)?;
//!
//! let line = Line::parse(&text)?;
//! assert_eq!(line.shown(Field::Actor), Some(r#""dana@example.com""#));
//! let without_details = line.withhold(&[Field::Details]);
//! assert_eq!(Line::parse(&without_details)?.leaf_hash(), line.leaf_hash());
//! # Ok::<(), audit_proof::Error>(())
//! ```

#![deny(unsafe_code)]

mod batch;
pub mod checkpoint;
mod cursor;
pub mod digest;
mod encoding;
mod error;
mod event;
mod field;
mod form;
pub mod head;
mod json;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod lanes;
mod layout;
mod line;
pub mod pack;
mod parse;
mod salt;
mod string;
pub mod tile;
pub mod time;
pub mod tree;

pub use batch::Batch;
pub use error::Error;
pub use event::{Event, Source};
pub use field::Field;
pub use line::Line;
pub use salt::{Redacted, Salt};

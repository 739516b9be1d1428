//! Checkpoints: heads as signed notes (C2SP tlog-checkpoint and signed-note), with the cosignatures of witnesses (C2SP
//! tlog-cosignature, cosignature/v1).

mod error;
mod key;
mod signed;
mod text;

pub use error::Error;
pub use key::{Key, Kind, key_id};
pub use signed::{Checkpoint, Signed};
pub use text::{cosigned, text};

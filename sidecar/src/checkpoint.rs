//! Checkpoints: signed heads of the system log, which commit to everything that was sealed until then. The private keys
//! and the memory of what was signed are on this machine, where whoever rewrites the database does not reach them.

mod file;
pub mod key;

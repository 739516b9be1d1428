//! Checkpoints: signed heads of the system log, which commit to everything that was sealed before. The private keys and
//! the state of the signer are on this machine, where someone who rewrites the database has no access.
//!
//! A round ([`Signer::round`]) records the heads of all workspace logs in the system log. It reads the database in one
//! snapshot (`database`), and compares the logs with the stored state (`check`, `refusal`, `state`). If they are
//! consistent, it stores the new state, signs, and then publishes the checkpoint. Checkpoints go to the database, to
//! witnesses and to an object store. It never signs an inconsistent log.

mod check;
mod database;
pub(crate) mod file;
mod health;
pub mod key;
pub(crate) mod note;
mod refusal;
mod settings;
mod signer;
mod state;
mod turn;
mod witness;

pub use health::Health;
pub use note::signers;
pub use refusal::{Cause, Refusal};
pub use settings::Settings;
pub use signer::{Error, Round, Signed, Signer, reset};

/// Returns the signed note of the largest checkpoint in the database, or none if nothing has been signed.
///
/// # Errors
/// Returns the errors of the database.
pub async fn latest(client: deadpool_postgres::Client) -> Result<Option<String>, crate::error::ApiError> {
    database::note(&client, None).await
}

//! Checkpoints: signed heads of the system log, which commit to everything that was sealed until then. The private keys
//! and the memory of what was signed are on this machine, where whoever rewrites the database does not reach them.
//!
//! A round ([`Signer::round`]) records the heads of all logs in the system log, reads what the database says of them in one
//! snapshot (`database`), and holds it against what is remembered (`check`, `refusal`, `state`). What holds is remembered,
//! then signed, then given away: to the database, to witnesses, to an object store. What does not hold is never signed.

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
mod witness;

pub use health::Health;
pub use refusal::{Cause, Refusal};
pub use settings::Settings;
pub use signer::{Error, Round, Signed, Signer, reset};

/// The signed note of the largest checkpoint in the database; none where nothing was signed yet.
///
/// # Errors
/// Those of the database.
pub async fn latest(client: deadpool_postgres::Client) -> Result<Option<String>, crate::error::ApiError> {
    database::note(&client, None).await
}

//! A round of signing: it records the heads, checks the logs, stores the state, signs and publishes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use audit_proof::checkpoint::{Checkpoint, Key, text};
use bytes::Bytes;
use deadpool_postgres::{Client, Transaction};
use futures_util::future::join_all;
use serde_json::json;
use signed_note::Signature;
use tokio::task::spawn_blocking;
use tokio_postgres::IsolationLevel;

use super::check::{self, Found};
use super::database::{self, Failure};
use super::note;
use super::refusal::{Refusal, TreeHead};
use super::settings::Settings;
use super::state::{self, Held};
use super::turn::{Attempt, Holder, Turn};
use super::witness::{Answer, Witness};
use crate::error::ApiError;
use crate::outcome::Outcome;
use crate::postgres::lease::Lease;
use crate::postgres::pool::Database;
use crate::postgres::timeout;
use crate::service::audit_trail::{self, AuditAction, Entry, SYSTEM_WORKSPACE};
use crate::service::request_context::RequestContext;

/// The signer of a log's checkpoints.
pub struct Signer {
    settings: Settings,
    database: Database,
    /// The note that was last copied to the store.
    copied: Mutex<Option<String>>,
}

/// Result of a round.
#[derive(Debug)]
pub enum Round {
    /// Nothing has been sealed.
    Nothing,
    /// Another session has the turn to sign.
    Elsewhere(Holder),
    /// The audit log was changed. Nothing was signed, and nothing will be until an operator resets signing.
    Refused(Vec<Refusal>),
    /// The audit log is consistent with the last checkpoint, and its new checkpoint is signed.
    Signed(Signed),
}

/// A signed checkpoint.
#[derive(Debug)]
pub struct Signed {
    /// Number of leaves.
    pub size: u64,
    /// The signed note.
    pub note: String,
    /// Number of witnesses that have cosigned.
    pub cosignatures: usize,
    /// Number of witnesses that must cosign.
    pub quorum: usize,
    /// Steps that failed. The next round retries them.
    pub problems: Vec<String>,
}

/// Errors of a round. The next round retries.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is unavailable, takes too long, or refuses.
    #[error("{}", .0.message())]
    Database(#[source] ApiError),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The state belongs to another log.
    #[error(
        "the signing state {folder} belongs to the log {found}, but the signing key to {wanted}. Use another folder, or the key of that log"
    )]
    OtherOrigin {
        /// Folder of the state.
        folder: PathBuf,
        /// Origin in the state.
        found: String,
        /// Name of the signing key.
        wanted: String,
    },
    /// The stored checkpoint is not a checkpoint.
    #[error(
        "the checkpoint in the signing state {0} is damaged. Restore the state from a copy, or run audit-sidecar checkpoint reset"
    )]
    NoCheckpoint(PathBuf),
    /// A thread ended unexpectedly.
    #[error("a thread of the signer ended unexpectedly")]
    Thread,
}

impl Signer {
    /// Creates the signer for this database.
    pub fn new(settings: Settings, database: Database) -> Self {
        Self { settings, database, copied: Mutex::default() }
    }

    /// Runs a round. Only one sidecar at a time runs a round.
    ///
    /// # Errors
    /// Fails with [`Error`]. Nothing inconsistent has been signed in that case either.
    pub async fn round(&self) -> Result<Round, Error> {
        let turn = match Turn::take(&self.database).await? {
            Attempt::Taken(turn) => turn,
            Attempt::Held(holder) => return Ok(Round::Elsewhere(holder)),
        };
        let mut lease = Lease::new(self.database.client().await?);
        let round = self.in_turn(lease.client(), &turn).await?;
        lease.give_back();
        Ok(round)
    }

    async fn in_turn(&self, client: &mut Client, turn: &Turn) -> Result<Round, Error> {
        let folder = self.settings.folder.clone();
        let mut held = blocking(move || Held::open(&folder)).await??;
        held = self.introduce(client, held).await?;
        if !held.state.refusals.is_empty() {
            return self.refuse(client, held).await;
        }
        seal(client).await?;
        let signed = self.last_signed(client, &held).await?;
        let transaction = patient(client, true).await?;
        let found = check::check(&transaction, signed.as_ref(), held.state.heads.as_ref()).await?;
        transaction.rollback().await?;
        turn.check().await?;
        match found {
            Found::Nothing => Ok(Round::Nothing),
            Found::Unsound(refusals) => {
                held.state.refusals = refusals;
                let held = save(held).await?;
                self.refuse(client, held).await
            }
            Found::Sound { head, heads } => {
                let text = text(self.settings.origin(), head.size, &head.root);
                let signatures: Vec<Signature> = self.settings.keys.iter().map(|key| key.sign(&text)).collect();
                held.state.checkpoint = Some(note::compose(&text, &signatures));
                held.state.heads = Some(heads);
                // The state is saved before the signature is published, because a published signature binds the signer.
                save(held).await?;
                Ok(Round::Signed(self.publish(client, head, &text, signatures).await?))
            }
        }
    }

    /// Records which signing keys were added and removed.
    async fn introduce(&self, client: &Client, mut held: Held) -> Result<Held, Error> {
        let state = &mut held.state;
        let origin = self.settings.origin();
        if state.origin.is_empty() {
            origin.clone_into(&mut state.origin);
        } else if state.origin != origin {
            return Err(Error::OtherOrigin {
                folder: self.settings.folder.clone(),
                found: state.origin.clone(),
                wanted: origin.to_owned(),
            });
        }
        let keys: Vec<String> = self.settings.public.iter().map(Key::encoded).collect();
        if state.keys == keys {
            return Ok(held);
        }
        let without = |all: &[String], others: &[String]| -> Vec<String> {
            all.iter().filter(|key| !others.contains(key)).cloned().collect()
        };
        let details =
            json!({ "keys": &keys, "added": without(&keys, &state.keys), "removed": without(&state.keys, &keys) });
        record(client, AuditAction::SigningKeyChanged, None, details, Outcome::Success).await?;
        tracing::info!(?keys, "the signing keys have changed");
        state.keys = keys;
        // After a crash at this point, the event is recorded twice, which is better than not at all.
        save(held).await
    }

    /// Returns the checkpoint that the next one must extend.
    async fn last_signed(&self, client: &Client, held: &Held) -> Result<Option<Checkpoint>, Error> {
        if let Some(note) = &held.state.checkpoint {
            let checkpoint = Checkpoint::parse(note.as_bytes());
            return checkpoint.map(Some).map_err(|_| Error::NoCheckpoint(self.settings.folder.clone()));
        }
        // After a reset by an operator, the checkpoint in the database does not count.
        if held.state.resets > 0 {
            return Ok(None);
        }
        // If the state is lost or new, a checkpoint that our own key has signed can replace it, if the database has
        // one.
        let note = database::note(client, None).await?;
        let signed = note.and_then(|note| note::signed_by(&note, &self.settings.public));
        if let Some(signed) = &signed {
            tracing::warn!(
                size = signed.size(),
                "the signing state is empty: the last checkpoint in the database is used instead"
            );
        }
        Ok(signed)
    }

    /// Records the refusals that are not recorded yet. The state already contains them.
    async fn refuse(&self, client: &Client, mut held: Held) -> Result<Round, Error> {
        let signed = held.state.checkpoint.as_deref().and_then(|note| Checkpoint::parse(note.as_bytes()).ok());
        let signed = signed.map(|signed| json!({ "size": signed.size(), "text": signed.text() }));
        let mut recorded = Vec::new();
        for refusal in held.state.refusals.iter_mut().filter(|refusal| !refusal.is_recorded) {
            let target = format!("workspace:{}", refusal.workspace.as_deref().unwrap_or(SYSTEM_WORKSPACE));
            let details = json!({ "cause": refusal.cause.name(), "workspace": refusal.workspace, "message": refusal.message, "signed": signed });
            record(client, AuditAction::CheckpointRefused, Some(&target), details, Outcome::Failure).await?;
            refusal.is_recorded = true;
            recorded.push(refusal.message.clone());
        }
        let refusals = held.state.refusals.clone();
        if !recorded.is_empty() {
            for message in recorded {
                tracing::error!(
                    message,
                    "ALARM: the audit log was changed after the last checkpoint was signed; no checkpoint is signed any more"
                );
            }
            save(held).await?;
        }
        Ok(Round::Refused(refusals))
    }

    /// Stores the checkpoint in the database, asks the witnesses that have not cosigned it, and copies it to the store.
    async fn publish(
        &self,
        client: &mut Client,
        head: TreeHead,
        text: &str,
        mut signatures: Vec<Signature>,
    ) -> Result<Signed, Error> {
        let own = signatures.len();
        let mut problems = Vec::new();
        let stored = database::note(client, Some(head.size)).await?;
        let witnesses: Vec<Key> = self.settings.witnesses.iter().map(|witness| witness.key().clone()).collect();
        signatures.extend(stored.iter().flat_map(|stored| note::good_signatures(stored, text, &witnesses)));
        let mut note = note::compose(text, &signatures);
        if stored.as_deref() != Some(&note) {
            database::record_note(client, head, &note).await?;
        }

        let missing = self.settings.witnesses.iter().filter(|witness| !has_signed(&signatures, witness));
        let asked: Vec<&Witness> = missing.collect();
        let answers = self.ask(client, head, &note, &asked).await?;
        for (witness, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(signature) => signatures.push(signature),
                Err(why) => problems.push(format!("witness {} has not cosigned: {why}", witness.key())),
            }
        }
        let cosigned = note::compose(text, &signatures);
        if cosigned != note {
            note = cosigned;
            database::record_note(client, head, &note).await?;
        }
        if let Err(why) = self.copy(head, &note).await {
            problems.push(why);
        }
        let cosignatures = signatures.len() - own;
        Ok(Signed { size: head.size, note, cosignatures, quorum: self.settings.quorum, problems })
    }

    /// Asks the witnesses for cosignatures. Each receives the proof from the size that it cosigned last.
    async fn ask(
        &self,
        client: &mut Client,
        head: TreeHead,
        note: &str,
        witnesses: &[&Witness],
    ) -> Result<Vec<Result<Signature, String>>, Error> {
        let mut answers: Vec<Result<Signature, String>> =
            witnesses.iter().map(|_| Err("its last size changed during both requests".into())).collect();
        let checkpoint =
            Checkpoint::parse(note.as_bytes()).map_err(|_| Error::NoCheckpoint(self.settings.folder.clone()))?;
        let mut open: Vec<usize> = (0..witnesses.len()).collect();
        for _ in 0..2 {
            let mut asking = Vec::new();
            let transaction = patient(client, true).await?;
            for at in open {
                let old = witnesses[at].size().min(head.size);
                let proof = match old {
                    0 => Ok(Vec::new()),
                    _ => database::consistency_proof(&transaction, None, old, head.size).await,
                };
                match proof {
                    Ok(proof) => asking.push((at, old, proof)),
                    Err(Failure::Unavailable(error)) => return Err(error.into()),
                    // The error has ended the transaction, so no further proof can be read.
                    Err(Failure::Wrong(refusal)) => {
                        answers[at] = Err(refusal.message);
                        break;
                    }
                }
            }
            transaction.rollback().await?;
            let requests = asking.iter().map(|(at, old, proof)| witnesses[*at].ask(&checkpoint, note, *old, proof));
            let answered = join_all(requests).await;
            let mut behind = Vec::new();
            for (at, answer) in asking.iter().map(|(at, ..)| *at).zip(answered) {
                match answer {
                    Ok(Answer::Cosigned(signature)) => answers[at] = Ok(signature),
                    Ok(Answer::Behind) => behind.push(at),
                    Err(error) => answers[at] = Err(error.to_string()),
                }
            }
            open = behind;
        }
        Ok(answers)
    }

    async fn copy(&self, head: TreeHead, note: &str) -> Result<(), String> {
        let Some(store) = &self.settings.store else { return Ok(()) };
        if self.copied.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(note) {
            return Ok(());
        }
        let name = format!("checkpoints/{:020}.txt", head.size);
        store.put(&name, Bytes::copy_from_slice(note.as_bytes())).await.map_err(|error| {
            tracing::warn!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "the checkpoint could not be copied to the store"
            );
            "the checkpoint could not be copied to the store".to_owned()
        })?;
        *self.copied.lock().unwrap_or_else(PoisonError::into_inner) = Some(note.to_owned());
        Ok(())
    }
}

/// Records the heads, and seals committed events, including the event that records the heads.
async fn seal(client: &mut Client) -> Result<(), Error> {
    let transaction = patient(client, false).await?;
    database::record_heads(&transaction).await?;
    transaction.commit().await?;
    // The number of passes is limited, because events continue to arrive. The heads are sealed first.
    for _ in 0..MOST_PASSES {
        let transaction = patient(client, false).await?;
        let sealed = database::seal(&transaction).await?;
        transaction.commit().await?;
        if sealed == 0 {
            break;
        }
    }
    Ok(())
}

/// Resets the signer, so that the next round accepts the present content of the database.
///
/// # Errors
/// Fails with [`Error`].
pub async fn reset(folder: PathBuf, client: &Client, actor: &str, reason: &str) -> Result<(), Error> {
    let opened = folder.clone();
    let held = blocking(move || match Held::open(&opened) {
        Err(state::Error::Damaged { .. }) => Held::open_anew(&opened),
        other => other,
    });
    let mut held = held.await??;
    let old = &held.state;
    let refused: Vec<_> = old
        .refusals
        .iter()
        .map(|r| json!({ "cause": r.cause.name(), "workspace": r.workspace, "message": r.message }))
        .collect();
    let entry = Entry {
        action: AuditAction::CheckpointReset,
        workspace: SYSTEM_WORKSPACE,
        actor,
        target: Some(&format!("workspace:{SYSTEM_WORKSPACE}")),
        details: json!({ "reason": reason, "signed": old.checkpoint, "refused": refused }),
        outcome: Outcome::Success,
    };
    audit_trail::record(client, &RequestContext::default(), entry).await?;
    let state = state::State {
        origin: old.origin.clone(),
        keys: old.keys.clone(),
        resets: old.resets + 1,
        ..state::State::default()
    };
    held.state = state;
    save(held).await?;
    Ok(())
}

fn has_signed(signatures: &[Signature], witness: &Witness) -> bool {
    let key = witness.key();
    signatures.iter().any(|signature| signature.name() == key.name() && signature.id() == key.id())
}

async fn record(
    client: &Client,
    action: AuditAction,
    target: Option<&str>,
    details: serde_json::Value,
    outcome: Outcome,
) -> Result<(), Error> {
    let entry = Entry { action, workspace: SYSTEM_WORKSPACE, actor: ACTOR, target, details, outcome };
    audit_trail::record(client, &RequestContext::default(), entry).await?;
    Ok(())
}

/// Begins a transaction without a limit on statements, because sealing a backlog takes long.
async fn patient(client: &mut Client, snapshot: bool) -> Result<Transaction<'_>, Error> {
    let level = if snapshot { IsolationLevel::RepeatableRead } else { IsolationLevel::ReadCommitted };
    let transaction = client.build_transaction().isolation_level(level).read_only(snapshot).start().await?;
    timeout::lift(&transaction).await?;
    Ok(transaction)
}

async fn save(held: Held) -> Result<Held, Error> {
    blocking(move || {
        held.save()?;
        Ok(held)
    })
    .await?
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|_| Error::Thread)
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Database(error)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Maximum number of passes. Each pass seals about 100,000 events.
const MOST_PASSES: usize = 100;

const ACTOR: &str = "system:signer";

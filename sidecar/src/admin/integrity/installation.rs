//! The part of the integrity page that concerns all workspaces: the last checkpoint, alarms and health checks.

use audit_proof::checkpoint::Checkpoint;

use crate::admin::errors::sentence;
use crate::admin::session::Session;
use crate::admin::view;
use crate::admin::zone::Zone;
use crate::archive::without_secrets;
use crate::checkpoint::signers;
use crate::error::ApiError;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::integrity::{self, LastCheckpoint};
use crate::service::status::StatusCheck;
use crate::time::Time;

/// The state of the whole installation.
pub struct Installation {
    /// The last checkpoint, or none if nothing has been signed.
    pub checkpoint: Option<Signed>,
    /// The state of the signer of this sidecar.
    pub signer: String,
    /// The destinations of checkpoints.
    pub destinations: Vec<Destination>,
    /// The health checks. It is none if the session may not see them, or if the database did not answer in time.
    pub checks: Option<Vec<HealthCheck>>,
}

/// The last checkpoint.
pub struct Signed {
    /// Facts about it: name and value.
    pub facts: Vec<(&'static str, String)>,
}

/// A destination of checkpoints.
pub struct Destination {
    /// Name.
    pub name: String,
    /// Whether the last checkpoint has arrived there. It is none if this is not known.
    pub arrived: Option<bool>,
    /// Explanation.
    pub text: String,
}

/// A health check.
pub struct HealthCheck {
    /// Name.
    pub name: String,
    /// The check in words.
    pub meaning: &'static str,
    /// Whether the check passes.
    pub ok: bool,
    /// State that the check found.
    pub value: String,
}

/// A state in which somebody must act.
pub struct Alarm {
    /// Heading.
    pub heading: String,
    /// Explanation.
    pub text: String,
    /// Action.
    pub action: String,
}

impl Installation {
    /// Reads the state and the alarms, as far as the session may see them.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn read(state: &AppState, session: &Session) -> Result<(Self, Vec<Alarm>), ApiError> {
        let (principal, zone) = (&session.principal, &session.zone);
        principal.require(Right::SeeCheckpoints)?;
        let last = state.database.read(integrity::last_checkpoint).await?;
        let refusal = state.database.read(integrity::refusal).await?;
        let (is_signing_well, signer) = state.signing.check();
        let status = if principal.may(Right::SeeStatus) { state.status().await } else { None };
        let mut alarms = Vec::new();
        if let Some((at, message)) = refusal {
            alarms.push(Alarm {
                heading: "The sidecar refuses to sign".to_owned(),
                text: format!("Since {}: {}", zone.stamp(at), sentence(&view::shown(&message, 500))),
                action:
                    "Keep the database as it is, and find out who changed it. The page \u{201c}Signing\u{201d} of the \
                         manual says how to continue."
                        .to_owned(),
            });
        }
        if !is_signing_well {
            alarms.push(Alarm {
                heading: "Signing needs attention".to_owned(),
                text: sentence(&signer),
                action: "Look into the sidecar log, which names the cause.".to_owned(),
            });
        } else if let Some(last) = last.as_ref().filter(|last| is_old(last)) {
            alarms.push(Alarm {
                heading: "No checkpoint was signed for more than an hour".to_owned(),
                text: format!("The last one is from {}.", zone.stamp(last.signed_at)),
                action: "Check that the sidecar with the signing key is running.".to_owned(),
            });
        }
        for check in status.iter().flat_map(|status| status.failing()) {
            alarms.push(Alarm {
                heading: format!("The health check \u{201c}{}\u{201d} fails", check.name),
                text: format!("{}: {}", meaning(&check.name), view::shown(&check.value, 500)),
                action: check.hint.clone().unwrap_or_default(),
            });
        }
        let shown = Self {
            destinations: destinations(state, last.as_ref(), zone),
            checkpoint: last.map(|last| Signed::new(last, zone)),
            signer: sentence(&signer),
            checks: status.map(|status| status.checks.into_iter().map(HealthCheck::new).collect()),
        };
        Ok((shown, alarms))
    }
}

impl Signed {
    fn new(last: LastCheckpoint, zone: &Zone) -> Self {
        let mut facts = vec![("Signed", format!("{}, {}", zone.stamp(last.signed_at), view::ago(last.signed_at)))];
        if let Ok(checkpoint) = Checkpoint::parse(last.note.as_bytes()) {
            let keys = signers(&last.note).into_iter().filter(|(name, _)| name == checkpoint.origin());
            let keys: Vec<String> = keys.map(|(name, id)| format!("{}+{id:08x}", view::shown(&name, 200))).collect();
            let size = i64::try_from(checkpoint.size()).unwrap_or(i64::MAX);
            facts.push(("Covers", format!("the first {} entries of the log of all workspaces", view::grouped(size))));
            facts.push(("Name of the log", view::shown(checkpoint.origin(), 200)));
            facts.push(("Signed by", keys.join(", ")));
        } else {
            facts.push(("Problem", "The stored text is not a checkpoint.".to_owned()));
        }
        Self { facts }
    }
}

impl HealthCheck {
    fn new(check: StatusCheck) -> Self {
        Self { meaning: meaning(&check.name), ok: check.ok, value: view::shown(&check.value, 500), name: check.name }
    }
}

fn destinations(state: &AppState, last: Option<&LastCheckpoint>, zone: &Zone) -> Vec<Destination> {
    let signing = &state.config.signing;
    let checkpoint = last.and_then(|last| Checkpoint::parse(last.note.as_bytes()).ok());
    let mut all = vec![Destination {
        name: "This database".to_owned(),
        arrived: Some(last.is_some()),
        text: "It helps nobody who doubts the database itself.".to_owned(),
    }];
    for witness in &signing.witnesses {
        let signed = checkpoint.as_ref().and_then(|checkpoint| checkpoint.verify(witness.key()).ok());
        let at = signed.and_then(|signed| Time::from_micros(i64::try_from(signed.at?).ok()?.checked_mul(1_000_000)?));
        all.push(Destination {
            name: format!("Witness {}", view::shown(witness.key().name(), 200)),
            arrived: Some(signed.is_some()),
            text: match (signed, at) {
                (None, _) => "It has not confirmed the last checkpoint yet.".to_owned(),
                (Some(_), None) => "It has confirmed the last checkpoint.".to_owned(),
                (Some(_), Some(at)) => format!("It confirmed the last checkpoint on {}.", zone.stamp(at)),
            },
        });
    }
    if let Some(store) = &signing.checkpoint_store {
        all.push(Destination {
            name: view::shown(&without_secrets(store), 300),
            arrived: None,
            text: "This sidecar stores a copy of each checkpoint there.".to_owned(),
        });
    }
    if state.config.publish_checkpoints {
        all.push(Destination {
            name: "Everybody".to_owned(),
            arrived: Some(last.is_some()),
            text: "The sidecar shows the checkpoint at /v1/checkpoint without a token.".to_owned(),
        });
    }
    all
}

fn is_old(last: &LastCheckpoint) -> bool {
    Time::now().micros() - last.signed_at.micros() > HOUR
}

/// Returns a health check in words.
fn meaning(name: &str) -> &'static str {
    match name {
        "maintenance" => "Background work that prepares the coming months and removes expired events",
        "maintenance waits" => "Something that keeps this work from being done",
        "partitions ahead" => "Room for the events of the coming month",
        "due partitions" => "Months of expired events that are not removed yet",
        "archive" => "Every partition that was due could be archived",
        "sealing" => "New events get their place in the logs",
        "heads" => "The state of all logs is recorded every minute",
        "legal holds" => "Active legal holds in all workspaces",
        "retention changes" => "Changes of retention that are not applied to all stored events yet",
        "clock" => "The clock has not moved far ahead",
        "replication" => "The audit log is not being received from another server",
        _ => "A health check of the database",
    }
}

const HOUR: i64 = 3_600_000_000;

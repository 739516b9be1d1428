//! The health of signing, for `/readyz`, `/metrics` and the sidecar log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Gauge, IntCounter, IntGauge};

use super::signer::{Error, Round};
use super::turn::Holder;
use crate::metrics::Metrics;
use crate::time::Time;

/// The health of signing. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// The configuration. It is none if signing is not configured.
    set_up: Option<SetUp>,
    last: Last,
    /// Time at which the last successful round ended, in this sidecar or another one.
    well: Option<Instant>,
    /// Time at which a refusal was last logged.
    alarmed: Option<Instant>,
}

#[derive(Debug)]
struct SetUp {
    gauges: Gauges,
    interval: Duration,
    begun: Instant,
}

/// Result of the last round.
#[derive(Debug, Default)]
enum Last {
    #[default]
    None,
    Idle(&'static str),
    /// Another session has the turn, since this time or earlier.
    Elsewhere {
        holder: Holder,
        since: Time,
    },
    Refused(usize),
    Failed,
    Signed {
        size: u64,
        cosignatures: usize,
        quorum: usize,
        problems: usize,
    },
}

#[derive(Debug)]
struct Gauges {
    size: IntGauge,
    signed_at: Gauge,
    refusals: IntGauge,
    failures: IntCounter,
    cosignatures: IntGauge,
    quorum: IntGauge,
}

impl Health {
    /// Enables the health of signing, with this interval between two rounds.
    ///
    /// # Errors
    /// Fails if the name of a metric is registered twice, which does not happen in practice.
    pub fn set_up(&self, metrics: &Metrics, interval: Duration) -> Result<(), prometheus::Error> {
        let gauges = Gauges::register(metrics)?;
        self.lock().set_up = Some(SetUp { gauges, interval, begun: Instant::now() });
        Ok(())
    }

    /// Stores the result of a round, and logs it.
    pub fn note(&self, result: &Result<Round, Error>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(set_up) = &inner.set_up else { return };
        let gauges = &set_up.gauges;
        let now = Instant::now();
        inner.last = match result {
            Ok(Round::Nothing) => {
                inner.well = Some(now);
                Last::Idle("nothing is sealed yet")
            }
            // Any database role can hold this lock, so a round that waits for it does not count as successful.
            Ok(Round::Elsewhere(holder)) => {
                // If this role may not see when the turn was taken, the time at which it was first seen is the best known.
                let first_seen = match &inner.last {
                    Last::Elsewhere { holder: before, since } if before.pid == holder.pid => *since,
                    _ => Time::now(),
                };
                let since = holder.since.unwrap_or(first_seen);
                let address = holder.address.as_deref();
                tracing::warn!(%holder, address, %since, "another session has the turn to sign; the next round tries again");
                Last::Elsewhere { holder: holder.clone(), since }
            }
            Ok(Round::Refused(refusals)) => {
                gauges.refusals.set(count(refusals.len()));
                if inner.alarmed.is_none_or(|alarmed| alarmed.elapsed() > HOUR) {
                    inner.alarmed = Some(now);
                    let causes: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
                    tracing::error!(
                        causes = causes.join("; "),
                        "ALARM: no checkpoint is signed until an operator finds the cause and runs audit-sidecar checkpoint reset"
                    );
                }
                Last::Refused(refusals.len())
            }
            Ok(Round::Signed(signed)) => {
                inner.well = Some(now);
                inner.alarmed = None;
                gauges.refusals.set(0);
                gauges.size.set(i64::try_from(signed.size).unwrap_or(i64::MAX));
                gauges.signed_at.set(Time::now().micros() as f64 / 1e6);
                gauges.cosignatures.set(count(signed.cosignatures));
                gauges.quorum.set((signed.cosignatures >= signed.quorum).into());
                for problem in &signed.problems {
                    tracing::warn!(size = signed.size, problem, "the checkpoint is signed, but a later step failed");
                }
                tracing::debug!(size = signed.size, cosignatures = signed.cosignatures, "a checkpoint is signed");
                Last::Signed {
                    size: signed.size,
                    cosignatures: signed.cosignatures,
                    quorum: signed.quorum,
                    problems: signed.problems.len(),
                }
            }
            Err(error) => {
                gauges.failures.inc();
                let cause = match error {
                    Error::Database(error) => error.cause(),
                    other => std::error::Error::source(other).map(ToString::to_string),
                };
                tracing::error!(%error, cause, "no checkpoint could be signed; the next round retries");
                Last::Failed
            }
        };
    }

    /// Returns whether signing is healthy, and a description that discloses nothing about the events.
    pub fn check(&self) -> (bool, String) {
        let inner = self.lock();
        let Some(set_up) = &inner.set_up else { return (true, "not configured".into()) };
        let late = inner.well.unwrap_or(set_up.begun).elapsed() > 3 * set_up.interval + GRACE;
        match &inner.last {
            Last::Refused(causes) => {
                (false, format!("REFUSED for {causes} causes: the audit log was changed; the sidecar log has details"))
            }
            Last::Failed => (false, "the last round failed; the sidecar log has the cause".into()),
            Last::Elsewhere { holder, since } if late => (
                false,
                format!(
                    "no round has succeeded for more than three intervals: {holder} has had the turn since {since}; end it if it signs nothing"
                ),
            ),
            _ if late => (false, "no round has succeeded for more than three intervals".into()),
            Last::None => (true, "the first round is running".into()),
            Last::Elsewhere { holder, since } => {
                (true, format!("waits for the turn, which {holder} has had since {since}"))
            }
            Last::Idle(why) => (true, (*why).into()),
            Last::Signed { size, cosignatures, quorum, problems } => {
                let ok = cosignatures >= quorum;
                let quorum =
                    if *quorum == 0 { String::new() } else { format!(", {cosignatures} of {quorum} cosignatures") };
                let problems = match problems {
                    0 => String::new(),
                    _ => format!(", {problems} problems; the sidecar log has details"),
                };
                (ok, format!("signed at size {size}{quorum}{problems}"))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gauges {
    fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let gauges = Self {
            size: IntGauge::new(
                "audit_checkpoint_size",
                "Number of leaves of the system log that the last checkpoint commits to",
            )?,
            signed_at: Gauge::new(
                "audit_checkpoint_timestamp_seconds",
                "Time of the last signed checkpoint, in seconds since 1970",
            )?,
            refusals: IntGauge::new(
                "audit_checkpoint_refusals",
                "Causes for which checkpoints are refused: a value above 0 is an alarm",
            )?,
            failures: IntCounter::new("audit_checkpoint_failures_total", "Rounds of signing that failed")?,
            cosignatures: IntGauge::new(
                "audit_checkpoint_cosignatures",
                "Number of cosignatures of the last checkpoint",
            )?,
            quorum: IntGauge::new(
                "audit_checkpoint_quorum",
                "Whether the last checkpoint has enough cosignatures: 1 if yes, otherwise 0",
            )?,
        };
        metrics.register(gauges.size.clone())?;
        metrics.register(gauges.signed_at.clone())?;
        metrics.register(gauges.refusals.clone())?;
        metrics.register(gauges.failures.clone())?;
        metrics.register(gauges.cosignatures.clone())?;
        metrics.register(gauges.quorum.clone())?;
        Ok(gauges)
    }
}

fn count(number: usize) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Additional time, because a round takes a while.
const GRACE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{GRACE, Gauges, Health, SetUp};
    use crate::checkpoint::signer::Round;
    use crate::checkpoint::turn::Holder;
    use crate::metrics::Metrics;
    use crate::time::Time;

    #[test]
    fn a_turn_that_is_never_given_up_is_not_well() {
        let health = Health::default();
        let gauges = Gauges::register(&Metrics::new().unwrap()).unwrap();
        let begun = Instant::now();
        health.lock().set_up = Some(SetUp { gauges, interval: Duration::from_secs(10), begun });
        let since = Time::parse("2026-01-02T03:04:05Z").unwrap();
        let holder = Holder { pid: Some(7), application: Some("psql".into()), address: None, since: Some(since) };
        health.note(&Ok(Round::Elsewhere(holder)));
        let (ok, told) = health.check();
        assert!(ok && told.contains("process 7 of PostgreSQL (psql) has had since 2026-01-02T03:04:05"), "{told}");
        let late = begun.checked_sub(Duration::from_secs(31) + GRACE).unwrap();
        health.lock().set_up.as_mut().unwrap().begun = late;
        let (ok, told) = health.check();
        assert!(!ok && told.contains("process 7 of PostgreSQL (psql)") && told.contains("since 2026-01-02"), "{told}");
        // A holder whose times this role may not see is known since it was first seen.
        for _ in 0..2 {
            health.note(&Ok(Round::Elsewhere(Holder { pid: Some(8), ..Holder::default() })));
        }
        let (_, told) = health.check();
        assert!(told.contains("process 8 of PostgreSQL has had the turn since 20"), "{told}");
    }
}

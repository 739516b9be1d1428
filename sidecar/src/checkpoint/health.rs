//! How signing gets on, for `/readyz`, `/metrics` and the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Gauge, IntCounter, IntGauge};

use super::signer::{Error, Round};
use crate::metrics::Metrics;
use crate::time::Time;

/// How signing gets on. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// None where nothing is to be signed.
    set_up: Option<SetUp>,
    last: Last,
    /// When the last round ended well, here or elsewhere.
    well: Option<Instant>,
    /// When it was last logged that nothing is signed.
    alarmed: Option<Instant>,
}

#[derive(Debug)]
struct SetUp {
    gauges: Gauges,
    interval: Duration,
    begun: Instant,
}

/// What the last round has come to.
#[derive(Debug, Default)]
enum Last {
    #[default]
    None,
    Idle(&'static str),
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
    /// Signing is set up, with that long between two rounds.
    ///
    /// # Errors
    /// Never in practice: where a name is given twice.
    pub fn set_up(&self, metrics: &Metrics, interval: Duration) -> Result<(), prometheus::Error> {
        let gauges = Gauges::register(metrics)?;
        self.lock().set_up = Some(SetUp { gauges, interval, begun: Instant::now() });
        Ok(())
    }

    /// Takes down how a round went, and logs it.
    pub fn note(&self, result: &Result<Round, Error>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(set_up) = &inner.set_up else { return };
        let gauges = &set_up.gauges;
        let now = Instant::now();
        inner.last = match result {
            Ok(Round::Nothing) => {
                inner.well = Some(now);
                Last::Idle("nothing was sealed yet")
            }
            // Anyone can hold the lock that sidecars take turns by: this is no round that went well.
            Ok(Round::Elsewhere) => Last::Idle("another sidecar was at it"),
            Ok(Round::Refused(refusals)) => {
                gauges.refusals.set(count(refusals.len()));
                if inner.alarmed.is_none_or(|alarmed| alarmed.elapsed() > HOUR) {
                    inner.alarmed = Some(now);
                    let causes: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
                    tracing::error!(
                        causes = causes.join("; "),
                        "ALARM: no checkpoint is signed until an operator has looked, and runs audit-sidecar checkpoint reset"
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
                    tracing::warn!(size = signed.size, problem, "the checkpoint is signed, but");
                }
                tracing::debug!(size = signed.size, cosignatures = signed.cosignatures, "signed");
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
                tracing::error!(%error, cause, "no checkpoint could be signed; the next round tries again");
                Last::Failed
            }
        };
    }

    /// Whether it is well, and how it stands, in words that tell nobody what is in the log.
    pub fn check(&self) -> (bool, String) {
        let inner = self.lock();
        let Some(set_up) = &inner.set_up else { return (true, "not set up".into()) };
        let late = inner.well.unwrap_or(set_up.begun).elapsed() > 3 * set_up.interval + GRACE;
        match &inner.last {
            Last::Refused(causes) => (
                false,
                format!("REFUSED for {causes} causes: the log is not what it was; the sidecar's log tells more"),
            ),
            Last::Failed => (false, "the last round failed; the sidecar's log tells why".into()),
            _ if late => (false, "no round has ended well for more than three intervals".into()),
            Last::None => (true, "the first round is under way".into()),
            Last::Idle(why) => (true, (*why).into()),
            Last::Signed { size, cosignatures, quorum, problems } => {
                let ok = cosignatures >= quorum;
                let quorum =
                    if *quorum == 0 { String::new() } else { format!(", {cosignatures} of {quorum} cosignatures") };
                let problems = match problems {
                    0 => String::new(),
                    _ => format!(", {problems} problems that the sidecar's log tells of"),
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
                "Leaves of the system log that the last checkpoint commits to",
            )?,
            signed_at: Gauge::new(
                "audit_checkpoint_timestamp_seconds",
                "When the log was last found sound and its checkpoint signed, in seconds since 1970",
            )?,
            refusals: IntGauge::new("audit_checkpoint_refusals", "Why checkpoints are refused: above 0 is an alarm")?,
            failures: IntCounter::new(
                "audit_checkpoint_failures_total",
                "Rounds of signing that did not come to their end",
            )?,
            cosignatures: IntGauge::new("audit_checkpoint_cosignatures", "Cosignatures of the last checkpoint")?,
            quorum: IntGauge::new("audit_checkpoint_quorum", "Whether these are as many as they should be: 1 is yes")?,
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

/// A round may take its time.
const GRACE: Duration = Duration::from_secs(30);

//! Recovery of events that the audit log has lost: somebody passed the guard and deleted or changed them. A copy, such as
//! a restored backup, still has them. The copy is not trusted: an event is accepted only if its hash is the leaf that the
//! workspace log of the database has today.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use deadpool_postgres::Client;
use serde_json::{Map, json};

use crate::events::export::Export;
use crate::events::filters::Filters;
use crate::outcome::Outcome;
use crate::pack::recovered::Proof;
use crate::pack::{Definitions, Report, Request, Values, Wait};
use crate::postgres::lease::Lease;
use crate::postgres::pool::Database;
use crate::service::export_trail::ExportTrail;
use crate::service::request_context::RequestContext;
use crate::time::Time;

mod copy;
mod error;
mod found;
mod lost;

pub use copy::PriorCopy;
pub use error::Error;

use self::found::{Candidates, Verdict};

/// A request to recover the lost events of a workspace.
pub struct Recovery {
    /// The database that lost the events.
    pub database: Database,
    /// The copy that still has them.
    pub copy: PriorCopy,
    /// The workspace.
    pub workspace: String,
    /// Only events of this period are looked for.
    pub since: Option<Time>,
    /// End of the period, not included.
    pub until: Option<Time>,
    /// Actor of the events about the pack.
    pub actor: String,
    /// How the pack waits for a checkpoint.
    pub wait: Wait,
}

/// The result of a recovery.
#[derive(Debug, Default)]
pub struct Outline {
    /// Number of other damages of the workspace that `audit.verify()` names.
    pub other_damages: u64,
    /// Ids of the events that are in the pack.
    pub recovered: Vec<i64>,
    /// Ids of the events that the copy does not have.
    pub absent: Vec<i64>,
    /// Ids of the events that the copy has, but not as they were sealed.
    pub different: Vec<i64>,
    /// Ids of the events of which the copy withholds a part. The pack has the other fields.
    pub incomplete: Vec<i64>,
    /// Ids of the events that are past their retention. They are not recovered.
    pub expired: Vec<i64>,
    /// Ids of the events that no checkpoint covers.
    pub uncovered: Vec<i64>,
    /// The file, and its report. None if no event is recovered, not even a part of one.
    pub pack: Option<(PathBuf, Report)>,
}

impl Outline {
    /// Returns the number of events that are missing or changed.
    pub fn lost(&self) -> usize {
        let Self { recovered, absent, different, incomplete, expired, uncovered, .. } = self;
        [recovered, absent, different, incomplete, expired, uncovered].map(Vec::len).iter().sum()
    }

    /// Returns whether each event that must still be kept is recovered.
    pub fn is_complete(&self) -> bool {
        let Self { absent, different, incomplete, uncovered, .. } = self;
        [absent, different, incomplete, uncovered].iter().all(|ids| ids.is_empty())
    }
}

impl Recovery {
    /// Finds the lost events, looks for them in the copy, and writes those that are proven as a pack. `create` receives the
    /// usual name of the file, and returns its path and the output. It is not called if there is nothing to write.
    ///
    /// # Errors
    /// Fails with [`Error`].
    pub async fn run<W: Write + Send + 'static>(
        self,
        create: impl FnOnce(&str) -> anyhow::Result<(PathBuf, W)>,
    ) -> Result<Outline, Error> {
        let mut lease = Lease::new(self.database.client().await?);
        let named = lost::named(lease.client(), &self.workspace, self.since, self.until).await?;
        let mut outline = Outline { other_damages: named.others, ..Outline::default() };
        if named.ids.is_empty() {
            if named.others == 0 && !lost::has_log(lease.client(), &self.workspace).await? {
                return Err(Error::NoLog(self.workspace));
            }
            lease.give_back();
            return Ok(outline);
        }
        let now = lease.client().query_one("SELECT now()", &[]).await?.try_get(0)?;
        let mut request = self.request(now)?;
        if !self.is_covered(lease.client(), &request, &named.ids).await? {
            Proof::wait(lease.client(), &request).await?;
        }
        let transaction = Export::begin(lease.client()).await?;
        let lost = lost::read(&transaction, &self.workspace, &named.ids).await?;
        let rules = lost::Rules::read(&transaction, &self.workspace).await?;
        let mut proof =
            Proof::find(&transaction, &request).await?.ok_or_else(|| Error::Unsigned(self.workspace.clone()))?;

        let mut candidates = Candidates::new(lost, rules, request.until)?;
        self.copy.read(&mut candidates).await?;
        let (verdicts, found) = candidates.finish(|id| proof.covers(id))?;
        for (id, verdict) in verdicts {
            let ids = match verdict {
                Verdict::Recovered => &mut outline.recovered,
                Verdict::Absent => &mut outline.absent,
                Verdict::Different => &mut outline.different,
                Verdict::Incomplete => &mut outline.incomplete,
                Verdict::Expired => &mut outline.expired,
                Verdict::Uncovered => &mut outline.uncovered,
            };
            ids.push(id);
        }
        let Some(since) = found.since() else { return Ok(outline) };
        request.since = since;

        let (path, out) = create(&request.file_name()).map_err(Error::Output)?;
        let trail = self.trail(&request, outline.recovered.len() + outline.incomplete.len());
        // The transaction is READ ONLY, so the event needs another connection.
        request.export_event = trail.record_start(&self.database.client().await?).await?;
        let started = request.export_event;
        let written = proof.write(&transaction, request, found.leaves(), found.lines(), out).await;
        let (outcome, more) = match &written {
            Ok(Report { events, bytes, sha256, .. }) => {
                (Outcome::Success, json!({ "started": started, "count": events, "bytes": bytes, "sha256": sha256 }))
            }
            Err(error) => (Outcome::Failure, json!({ "started": started, "error": error.to_string() })),
        };
        trail.record_end_or_log(outcome, more).await;
        transaction.rollback().await?;
        lease.give_back();
        outline.pack = Some((path, written?));
        Ok(outline)
    }

    /// Returns whether a checkpoint covers all events with these ids.
    async fn is_covered(&self, client: &mut Client, request: &Request, ids: &[i64]) -> Result<bool, Error> {
        let transaction = Export::begin(client).await?;
        let Some(mut proof) = Proof::find(&transaction, request).await? else { return Ok(false) };
        for lost in lost::read(&transaction, &self.workspace, ids).await? {
            if !proof.covers(lost.id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the request for a pack that ends now.
    fn request(&self, now: Time) -> Result<Request, Error> {
        let definitions = Definitions::built_in()?;
        let definition = definitions.find("export").cloned().ok_or(Error::NoDefinition)?;
        let words = [("recovered_from", self.copy.kind()), ("recovered_because", "missing or changed")];
        let words = words.map(|(name, text)| (name.to_owned(), Values::One(text.to_owned())));
        Ok(Request {
            definition,
            filters: Filters { workspace: self.workspace.clone(), ..Filters::default() },
            words: BTreeMap::from(words),
            since: now,
            until: now,
            exported_by: self.actor.clone(),
            export_event: 0,
            wait: self.wait.clone(),
        })
    }

    fn trail(&self, request: &Request, events: usize) -> ExportTrail {
        ExportTrail {
            database: self.database.clone(),
            context: RequestContext::default(),
            actor: self.actor.clone(),
            workspace: self.workspace.clone(),
            target: None,
            details: Map::from_iter([
                ("pack".to_owned(), request.definition.name.as_str().into()),
                ("format".to_owned(), "zip".into()),
                ("since".to_owned(), request.since.to_string().into()),
                ("until".to_owned(), request.until.to_string().into()),
                ("recovered_from".to_owned(), self.copy.kind().into()),
                ("recovered".to_owned(), events.into()),
            ]),
        }
    }
}

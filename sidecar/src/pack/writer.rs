//! The thread that writes the zip.

use std::io::Write;
use std::sync::atomic::Ordering;

use audit_proof::pack::Claim;
use tokio::sync::{mpsc, oneshot};

use super::error::Error;
use super::file_name::{EVENTS, MANIFEST, README, SUMMARY};
use super::lines::Lines;
use super::manifest::{Counts, Landmark, Manifest, PACK_VERSION, Period, Snapshot, Software, Unclassified};
use super::proof_files::Source;
use super::report::{Progress, Report};
use super::request::Request;
use super::rows::{Message, each};
use super::spool::Spooled;
use super::summary::Summary;
use super::zip::Archive;
use super::{proof_files, readme};

/// The claim and the source of the proof.
pub(super) struct Proof {
    /// Public key of the checkpoint.
    pub key: Option<String>,
    /// Claim of the pack.
    pub claim: Claim,
    /// Source of the files of the proof, which follow the events.
    pub source: Source,
}

/// The parts of the manifest that come from the database.
pub(super) struct Claims {
    /// The events that no tag classifies.
    pub unclassified: Unclassified,
    /// The state of the database.
    pub snapshot: Snapshot,
    /// The programs.
    pub software: Software,
}

/// Writes the whole zip from the rows that arrive, and then from the files that the other thread has spooled.
///
/// # Errors
/// Returns the first error, of this thread or of the other one.
pub(super) fn write<W: Write>(
    mut rows: mpsc::Receiver<Message>,
    spool: oneshot::Receiver<Result<Spooled, Error>>,
    proof: Option<Proof>,
    request: &Request,
    claims: Claims,
    out: W,
    mut progress: impl FnMut(Progress),
) -> Result<Report, Error> {
    let mut manifest = manifest(request, claims);
    manifest.key = proof.as_ref().and_then(|proof| proof.key.clone());
    manifest.proof = proof.as_ref().map(|proof| proof.claim);
    let mut zip = Archive::new(out, manifest.snapshot.taken_at);
    let written = zip.written();
    let mut counts = Counts::default();
    let mut complete = false;
    zip.add(README, |entry| entry.write_all(readme::text(&manifest).as_bytes()))?;
    zip.add(EVENTS, |entry| {
        let mut lines = Lines::new(entry);
        complete = each(&mut rows, |batch| {
            for row in batch.events(request) {
                let row = row?;
                let here = Landmark { id: row.id, occurred_at: row.occurred_at };
                counts.add(row.category, row.outcome, here);
                lines.add(&row)?;
            }
            progress(Progress { events: counts.events, bytes: written.load(Ordering::Relaxed) });
            Ok(())
        })?;
        lines.finish().map_err(Error::Output)
    })?;
    // If the other thread failed first, it reports the error.
    let spooled = spool.blocking_recv().map_err(|_| Error::Thread)??;
    if !complete {
        return Err(Error::Thread);
    }
    zip.copy(spooled.table)?;
    zip.add(SUMMARY, |entry| spooled.summary.write_csv(entry))?;

    if let Some(Proof { source, .. }) = proof {
        // The channel closed early. The reader reports the error.
        if !proof_files::write(&mut zip, request, source)? {
            return Err(Error::Thread);
        }
    }

    let report = finish(zip, manifest, counts, &spooled.summary)?;
    progress(Progress { events: report.events, bytes: report.bytes });
    Ok(report)
}

/// Returns the manifest of a pack without a proof, before any file of the pack is known.
pub(super) fn manifest(request: &Request, claims: Claims) -> Manifest {
    let Claims { unclassified, snapshot, software } = claims;
    Manifest {
        pack_version: PACK_VERSION,
        definition: (*request.definition).clone(),
        workspace: request.filters.workspace.clone(),
        period: Period { since: request.since, until: request.until },
        filters: request.filter_values(),
        exported_by: request.exported_by.clone(),
        export_event: request.export_event,
        snapshot,
        counts: Counts::default(),
        unclassified,
        key: None,
        proof: None,
        software,
        files: Vec::new(),
    }
}

/// Adds the manifest and completes the zip.
///
/// # Errors
/// Returns the errors of the output.
pub(super) fn finish<W: Write>(
    mut zip: Archive<W>,
    mut manifest: Manifest,
    counts: Counts,
    summary: &Summary,
) -> Result<Report, Error> {
    let (actors, events_of_other_actors) = (summary.actors(), summary.events_of_other_actors());
    manifest.counts = Counts { actors, events_of_other_actors, ..counts };
    manifest.files = zip.files().to_vec();
    zip.add(MANIFEST, |entry| entry.write_all(&manifest.to_json()?))?;
    let (bytes, sha256) = zip.finish()?;
    Ok(Report { events: manifest.counts.events, bytes, sha256, files: manifest.files })
}

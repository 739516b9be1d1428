//! A pack of events that the database no longer holds. Their lines come from a copy, and their proof from the workspace
//! log of the database.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;

use audit_proof::Line;
use deadpool_postgres::Transaction;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::catalog::Catalog;
use super::entry::Entry;
use super::error::Error;
use super::file_name::{EVENTS, README, SUMMARY, TABLE};
use super::manifest::{Counts, Landmark, Manifest};
use super::proof_files::{Array, Parts, Source};
use super::proof_query::{self, Basis};
use super::report::Report;
use super::request::Request;
use super::rows::Message;
use super::shown::Shown;
use super::source::describe;
use super::spool::Spool;
use super::summary::Summary;
use super::writer::{Claims, finish, manifest};
use super::zip::Archive;
use super::{proof_files, readme};
use crate::error::ApiError;
use crate::events::csv;
use crate::time::Time;

/// The proof that the pack will have.
pub struct Proof(Basis);

impl Proof {
    /// Waits for a checkpoint that covers the workspace log, as a pack does.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn wait(client: &deadpool_postgres::Client, request: &Request) -> Result<(), ApiError> {
        proof_query::wait(client, request).await
    }

    /// Finds the latest checkpoint that covers the workspace log. Returns none if there is none. The words of the request
    /// must not be empty, because the pack is not complete.
    ///
    /// # Errors
    /// Returns the errors of the database and of a temporary file.
    pub async fn find(transaction: &Transaction<'_>, request: &Request) -> Result<Option<Self>, Error> {
        Ok(Basis::find(transaction, request).await?.map(Self))
    }

    /// Returns whether the checkpoint covers the leaf of an event.
    ///
    /// # Errors
    /// Returns the errors of a temporary file.
    pub fn covers(&mut self, id: i64) -> Result<bool, Error> {
        Ok(self.0.index.find(id).map_err(Error::spool)?.is_some())
    }

    /// Writes the pack to `out`. The lines ascend by time and id, and have the leaves in `leaves`, all of which are covered.
    ///
    /// # Errors
    /// Fails with [`Error`]. The output is then not a complete zip.
    pub async fn write<W: Write + Send + 'static>(
        self,
        transaction: &Transaction<'_>,
        request: Request,
        leaves: impl IntoIterator<Item = u64>,
        lines: impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'static,
        out: W,
    ) -> Result<Report, Error> {
        let Self(basis) = self;
        let mut shown = Shown::default();
        leaves.into_iter().for_each(|leaf| shown.add(leaf, true));
        let workspace = &request.filters.workspace;
        let catalog = Catalog::read(transaction, &request.all_filters()).await?;
        let (snapshot, software) = describe(transaction, workspace).await?;
        let (log, hashes, range) = basis.log(transaction, &request, &shown).await?;
        let request = Request { definition: Arc::new(catalog.resolve(&request.definition)?), ..request };
        let claims = Claims { unclassified: catalog.unclassified(), snapshot, software };
        let manifest = Manifest { key: basis.key, proof: Some(basis.claim), ..manifest(&request, claims) };

        // The proof of single events has no leaves besides theirs.
        let (parts, parts_come) = oneshot::channel();
        let (rows, rows_come) = mpsc::channel(1);
        let sent = parts.send(Parts { log, hashes, range, note: basis.note }).is_ok();
        if !sent || rows.try_send(Message::End).is_err() {
            return Err(Error::Thread);
        }
        let source = Source { parts: parts_come, rows: rows_come };
        spawn_blocking(move || write(lines, &request, manifest, source, out)).await.map_err(|_| Error::Thread)?
    }
}

fn write<W: Write>(
    lines: impl Iterator<Item = io::Result<Vec<u8>>>,
    request: &Request,
    manifest: Manifest,
    source: Source,
    out: W,
) -> Result<Report, Error> {
    let mut zip = Archive::new(out, manifest.snapshot.taken_at);
    let mut counts = Counts::default();
    let mut summary = Summary::new(request.definition.clone());
    let mut table = Table::new()?;
    zip.add(README, |entry| entry.write_all(readme::text(&manifest).as_bytes()))?;
    zip.add(EVENTS, |entry| {
        let mut array = Array::new(entry);
        for text in lines {
            let text = text.map_err(Error::spool)?;
            let line = Line::parse(&text).map_err(|error| Error::spool(io::Error::other(error)))?;
            if let Some(occurred_at) = Time::from_micros(line.occurred_at()) {
                counts.add(&line.category(), &line.outcome(), Landmark { id: line.id(), occurred_at });
            }
            summary.add_line(&line);
            table.add(&line)?;
            array.add(|out| out.extend_from_slice(&text))?;
        }
        array.finish()?;
        Ok::<_, Error>(())
    })?;
    zip.copy(table.finish()?)?;
    zip.add(SUMMARY, |entry| summary.write_csv(entry))?;
    if !proof_files::write(&mut zip, request, source)? {
        return Err(Error::Thread);
    }
    finish(zip, manifest, counts, &summary)
}

/// events.csv, which is compressed into a temporary file.
struct Table {
    entry: Entry<File>,
    row: Vec<u8>,
}

impl Table {
    fn new() -> Result<Self, Error> {
        let mut table = Self { entry: Entry::new(tempfile::tempfile().map_err(Error::spool)?), row: Vec::new() };
        csv::write_header(&mut table.row);
        table.entry.write_all(&table.row).map_err(Error::spool)?;
        Ok(table)
    }

    fn add(&mut self, line: &Line<'_>) -> Result<(), Error> {
        self.row.clear();
        csv::write_line(line, &mut self.row);
        self.entry.write_all(&self.row).map_err(Error::spool)
    }

    fn finish(self) -> Result<Spool, Error> {
        let (mut content, file, packed) = self.entry.finish(TABLE).map_err(Error::spool)?;
        content.rewind().map_err(Error::spool)?;
        Ok(Spool { content, file, packed })
    }
}

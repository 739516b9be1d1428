//! Reading back of the archive. The content of the store is compared with the database.

use std::fs::File;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tokio::task::spawn_blocking;

use super::columns::{Columns, SCHEMA};
use super::content::Content;
use super::error::Error;
use super::meter::Meter;
use super::place::Place;
use super::progress::Progress;
use super::writer::Written;

/// Reads the files in order and returns the number and the hash of their events.
///
/// # Errors
/// Fails if a file cannot be read, or does not have the expected form.
pub(super) async fn content(
    place: &Place,
    files: &[Written],
    progress: impl Fn(Progress) + Send + Clone + 'static,
) -> Result<Content, Error> {
    let mut meter = Meter::default();
    for Written { object, .. } in files {
        let file = place.fetch(object).await?;
        let object = place.locate(object);
        let progress = progress.clone();
        meter = spawn_blocking(move || {
            let read = read(file, &mut meter, progress);
            read.map(|()| meter).map_err(|failure| match failure {
                Failure::File(source) => Error::File { object, source },
                Failure::Archive(error) => error,
            })
        })
        .await
        .map_err(|_| Error::Thread)??;
    }
    Ok(meter.finish())
}

fn read(file: File, meter: &mut Meter, progress: impl Fn(Progress)) -> Result<(), Failure> {
    let reader = SerializedFileReader::new(file)?;
    if reader.metadata().file_metadata().schema() != &**SCHEMA {
        return Err(ParquetError::General("its schema is not the expected one".into()).into());
    }
    for index in 0..reader.num_row_groups() {
        let columns = Columns::read(&*reader.get_row_group(index)?)?;
        columns.each(|record| meter.add(record).map_err(Failure::from))?;
        progress(Progress::ReadBack(meter.events()));
    }
    Ok(())
}

enum Failure {
    File(ParquetError),
    Archive(Error),
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        Self::File(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Archive(error)
    }
}

#[cfg(test)]
mod tests {
    use audit_proof::{Event, Source};
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use tokio::sync::mpsc;

    use super::super::record::Record;
    use super::super::source;
    use super::super::writer::{Files, Writer};
    use super::*;

    /// Writes `events` events in two months. `wrong` is the id of an event with a different actor.
    async fn write(place: &Place, events: i64, wrong: i64) -> Files {
        let (to_store, pieces) = mpsc::channel(2);
        let thread = {
            let place = place.clone();
            spawn_blocking(move || {
                let mut writer = Writer::new(to_store, &place, "event_2027_02");
                for id in 1..=events {
                    let targets: Vec<&str> = ["a", "", "日本"].into_iter().take(id as usize % 4).collect();
                    let event = Event {
                        id,
                        workspace: "acme",
                        occurred_at: 1_767_225_600_000_000 + id - events / 2,
                        recorded_at: 1_767_225_600_000_000,
                        category: "other",
                        action: "x",
                        outcome: "success",
                        actor: (id % 3 > 0).then_some(if id == wrong { "eve" } else { "ann" }),
                        targets: &*targets,
                        source: Source {
                            ip: (id % 2 > 0).then_some("::1"),
                            database_user: Some("app"),
                            ..Source::default()
                        },
                        details: "{\"a\": [1, null]}",
                        salt: [id as u8; 16].into(),
                        leaf: None,
                    };
                    writer.add(&Record { event, xid: 7, expires_on: 20_850 }).unwrap();
                }
                writer.finish().unwrap()
            })
        };
        source::upload(place, pieces).await.unwrap();
        thread.await.unwrap()
    }

    async fn read(place: &Place, files: &[Written]) -> Result<Content, Error> {
        content(place, files, |_| ()).await
    }

    #[tokio::test]
    async fn what_was_written_is_read() {
        let place = Place::on(InMemory::new());
        let written = write(&place, 250_000, 0).await;
        assert_eq!(written.content.events, 250_000);
        let names: Vec<&str> = written.files.iter().map(|file| file.object.as_ref()).collect();
        assert_eq!(
            names,
            [
                "workspace=acme/month=2025-12/event_2027_02.parquet",
                "workspace=acme/month=2026-01/event_2027_02.parquet"
            ]
        );
        assert_eq!(read(&place, &written.files).await.unwrap(), written.content);
        let none = write(&place, 0, 0).await;
        assert!(none.files.is_empty());
    }

    #[tokio::test]
    async fn what_has_changed_in_between_is_noticed() {
        let store = std::sync::Arc::new(InMemory::new());
        let place = Place::on(std::sync::Arc::clone(&store));
        let written = write(&place, 100, 0).await;
        let object = &written.files[1].object;

        // This file has another value, and is otherwise the same.
        write(&place, 100, 70).await;
        let found = read(&place, &written.files).await.unwrap();
        assert_eq!(found.events, 100);
        assert_ne!(found.sha256, written.content.sha256);

        let bytes = store.get(object).await.unwrap().bytes().await.unwrap();
        for damaged in [bytes.slice(..bytes.len() / 2), bytes.slice(1..), "PAR1".into(), bytes::Bytes::new()] {
            store.put(object, damaged.into()).await.unwrap();
            let error = read(&place, &written.files).await.unwrap_err();
            assert!(
                matches!(&error, Error::File { object, .. } if object.ends_with("month=2026-01/event_2027_02.parquet")),
                "{error}"
            );
        }
        // A changed byte must be detected at any place, except in statistics and the like. It must not cause a panic.
        let mut noticed = 0;
        let places = (0..bytes.len()).step_by(5);
        let all = places.len();
        for at in places {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x55;
            store.put(object, damaged.into()).await.unwrap();
            noticed += usize::from(read(&place, &written.files).await.ok() != Some(written.content));
        }
        assert!(noticed > all / 2, "{noticed} of {all}");
        store.delete(object).await.unwrap();
        let error = read(&place, &written.files).await.unwrap_err();
        assert!(matches!(error, Error::Store { attempt: "read back", .. }), "{error}");
    }
}

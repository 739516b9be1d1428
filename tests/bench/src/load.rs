//! Databases of many events, which are kept from run to run.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::server::Server;
use crate::threads::joined;

/// Returns the name of the database of `events` events, and loads it if it is missing.
///
/// It is loaded again if the extension or the data have changed. It is also loaded again after two days, because a query
/// searches the last week by default.
pub fn database(server: &Server, events: u64) -> Result<String> {
    let name = format!("bench_{events}");
    let key = key(server)?;
    if server.has(&name)? {
        let fresh = server.sql(
            &name,
            &format!(
                "SELECT count(*) FROM pg_class WHERE oid = to_regclass('bench.loaded') \\gset\n\\if :count\n\
                 SELECT count(*) FROM bench.loaded WHERE key = '{key}' AND at > now() - interval '2 days';\n\\endif"
            ),
        )?;
        if fresh == "1" {
            return Ok(name);
        }
    }
    load(server, &name, events, &key)?;
    Ok(name)
}

fn load(server: &Server, name: &str, events: u64, key: &str) -> Result<()> {
    let started = Instant::now();
    eprintln!("  loading {events} events (kept for the next run)");
    server.fresh(name)?;
    server.sql(name, include_str!("prepare.sql"))?;
    // Building the indexes at the end takes a fraction of the time.
    let indexes = server.sql(name, INDEXES)?;
    for line in indexes.lines() {
        let index = line.split_once('|').map_or(line, |(index, _)| index);
        server.sql(name, &format!("DROP INDEX {index}"))?;
    }
    let parts = thread::available_parallelism()?.get().min(4) as u64;
    in_parallel((0..parts).map(|part| {
        let statement = include_str!("load.sql")
            .replace("{first}", &(part * events / parts + 1).to_string())
            .replace("{last}", &((part + 1) * events / parts).to_string())
            .replace("{total}", &events.to_string());
        move || server.sql(name, &format!("SET synchronous_commit = off; {statement}")).map(drop)
    }))?;
    eprintln!("  rows after {:.0} s", started.elapsed().as_secs_f64());
    let definitions: Vec<&str> = indexes.lines().filter_map(|line| Some(line.split_once('|')?.1)).collect();
    let next = AtomicUsize::new(0);
    in_parallel((0..parts).map(|_| {
        || {
            while let Some(definition) = definitions.get(next.fetch_add(1, Ordering::Relaxed)) {
                server.sql(name, definition)?;
            }
            Ok(())
        }
    }))?;
    server.sql(name, "VACUUM ANALYZE audit.event")?;
    eprintln!("  indexes and statistics after {:.0} s", started.elapsed().as_secs_f64());
    server.sql(name, include_str!("params.sql"))?;
    server.sql(name, &format!("CREATE TABLE bench.loaded AS SELECT '{key}' AS key, now() AS at; CHECKPOINT;"))?;
    eprintln!(
        "  loaded in {:.0} s, {}",
        started.elapsed().as_secs_f64(),
        server.sql(name, "SELECT pg_size_pretty(pg_database_size(current_database()))")?
    );
    Ok(())
}

const INDEXES: &str = "SELECT i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) FROM pg_index i \
                       JOIN pg_inherits h ON h.inhrelid = i.indrelid \
                       WHERE h.inhparent = 'audit.event'::regclass AND NOT i.indisprimary ORDER BY 2";

/// Returns a key that changes with the loaded data and with the extension's SQL.
fn key(server: &Server) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    (include_str!("prepare.sql"), include_str!("load.sql"), include_str!("params.sql")).hash(&mut hasher);
    let installed = "SELECT md5(string_agg(pg_read_file(f.dir || '/' || n), '' ORDER BY n)) \
                     FROM (SELECT setting || '/extension' AS dir FROM pg_config WHERE name = 'SHAREDIR') f, \
                     pg_ls_dir(f.dir) n WHERE n LIKE 'audit\\_log--%.sql'";
    server.sql("postgres", installed)?.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn in_parallel<F: FnOnce() -> Result<()> + Send>(tasks: impl Iterator<Item = F>) -> Result<()> {
    thread::scope(|scope| {
        let running: Vec<_> = tasks.map(|task| scope.spawn(task)).collect();
        running.into_iter().try_for_each(joined)
    })
}

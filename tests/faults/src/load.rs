//! The applications: they append and export until they are told to stop, and note which events are acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config, NoTls};

/// Where the applications connect to.
#[derive(Clone)]
pub struct Addresses {
    /// The database, as a role that may append.
    pub database: Config,
    /// The sidecar, such as `http://127.0.0.1:8787`.
    pub sidecar: String,
    /// A token of role admin for the sidecar.
    pub token: String,
}

/// The way that an event takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `audit.append` in a transaction that also writes a row of the application.
    Transaction,
    /// `audit.append_autonomous`.
    Autonomous,
    /// POST of an event with an idempotency key, repeated until there is an answer.
    Rest,
}

/// An event that an application has tried to append. Its target is the key.
pub struct Attempt {
    /// The target of the event.
    pub key: String,
    /// The way of the event.
    pub way: Way,
    /// Whether the application was told that the event is stored.
    pub acknowledged: bool,
}

/// The running applications.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Vec<Attempt>>>,
    reader: JoinHandle<()>,
}

impl Load {
    /// Starts the applications. The keys of their events begin with `prefix`.
    pub fn start(addresses: &Addresses, prefix: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ways = [Way::Transaction, Way::Transaction, Way::Transaction, Way::Autonomous, Way::Rest, Way::Rest];
        let writers = ways.iter().enumerate().map(|(number, way)| {
            let writer = Writer {
                addresses: addresses.clone(),
                way: *way,
                prefix: format!("{prefix}{number}-"),
                stop: Arc::clone(&stop),
                client: None,
                http: reqwest::Client::new(),
            };
            tokio::spawn(writer.run())
        });
        Self { writers: writers.collect(), reader: tokio::spawn(read(addresses.clone(), Arc::clone(&stop))), stop }
    }

    /// Stops the applications, and returns what they have tried.
    pub async fn stop(self) -> Result<Vec<Attempt>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut attempts = Vec::new();
        for writer in self.writers {
            attempts.extend(writer.await?);
        }
        self.reader.await?;
        Ok(attempts)
    }
}

/// The time after which an application gives up a request.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

struct Writer {
    addresses: Addresses,
    way: Way,
    prefix: String,
    stop: Arc<AtomicBool>,
    client: Option<Client>,
    http: reqwest::Client,
}

impl Writer {
    async fn run(mut self) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            if self.way != Way::Rest && self.connect().await.is_err() {
                sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
            let key = format!("{}{}", self.prefix, attempts.len());
            let acknowledged = self.append(&key).await;
            attempts.push(Attempt { key, way: self.way, acknowledged });
            sleep(if acknowledged { PAUSE } else { PAUSE_AFTER_ERROR }).await;
        }
        attempts
    }

    async fn connect(&mut self) -> Result<()> {
        if self.client.is_none() {
            let (client, connection) = timeout(PATIENCE, self.addresses.database.connect(NoTls)).await??;
            tokio::spawn(connection);
            self.client = Some(client);
        }
        Ok(())
    }

    /// Returns whether the event is acknowledged.
    async fn append(&mut self, key: &str) -> bool {
        match self.way {
            Way::Rest => {
                // An application repeats the request until it knows that the event is stored.
                while self.post(key).await.is_err() {
                    if self.stop.load(Ordering::Relaxed) {
                        return false;
                    }
                    sleep(PAUSE_AFTER_ERROR).await;
                }
                true
            }
            Way::Transaction | Way::Autonomous => {
                let done = match &self.client {
                    Some(client) => matches!(timeout(PATIENCE, call(client, self.way, key)).await, Ok(Ok(()))),
                    None => false,
                };
                if !done {
                    self.client = None;
                }
                done
            }
        }
    }

    async fn post(&self, key: &str) -> Result<()> {
        let event = json!({"workspace": "acme", "action": "order_changed", "target": key, "idempotency_key": key});
        let request = self.http.post(format!("{}/v1/events", self.addresses.sidecar)).timeout(PATIENCE);
        let request = request.bearer_auth(&self.addresses.token).header("content-type", "application/json");
        let status = request.body(event.to_string()).send().await?.status();
        if status.is_success() { Ok(()) } else { Err(anyhow!("{status}")) }
    }
}

/// Simple queries, so that a pooler may choose another server connection for each transaction.
async fn call(client: &Client, way: Way, key: &str) -> Result<()> {
    if way == Way::Autonomous {
        let call = format!("SELECT audit.append_autonomous('order_changed', 'acme', target => '{key}')");
        client.batch_execute(&call).await?;
        return Ok(());
    }
    client.batch_execute("BEGIN").await?;
    client.batch_execute(&format!("INSERT INTO public.orders VALUES ('{key}')")).await?;
    client.batch_execute(&format!("SELECT audit.append('order_changed', 'acme', target => '{key}')")).await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// Exports everything over and over, so that faults also come in the middle of an export.
async fn read(addresses: Addresses, stop: Arc<AtomicBool>) {
    let http = reqwest::Client::new();
    while !stop.load(Ordering::Relaxed) {
        let request = http.get(format!("{}/v1/events?workspace=acme&since=2000-01-01", addresses.sidecar));
        let request = request.bearer_auth(&addresses.token).header("accept", "application/x-ndjson").timeout(PATIENCE);
        if let Ok(answer) = request.send().await {
            let _ = answer.bytes().await;
        }
        sleep(PAUSE_AFTER_ERROR).await;
    }
}

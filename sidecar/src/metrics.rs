//! The metrics that `/metrics` shows in the text format of Prometheus.

use std::time::Duration;

use deadpool_postgres::Status;
use prometheus::core::Collector;
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::service::status;

/// The counters. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    connections: IntGaugeVec,
    /// Events that were appended and committed through the sidecar.
    pub events_appended: IntCounter,
    events_returned: IntCounterVec,
    /// Exports that are running.
    pub exports_running: IntGauge,
    exports_finished: IntCounterVec,
}

/// The format in which events are returned, as a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page, or one event.
    Json,
    /// A page for people.
    Html,
    /// A stream with one object per line.
    Ndjson,
    /// A stream with one row per line.
    Csv,
    /// A part of the feed of a workspace, with one object per line.
    Feed,
    /// An evidence pack.
    Pack,
}

/// The way in which an export ended, as a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportEnd {
    /// The export was written completely.
    Success,
    /// The sidecar or the database failed.
    Failure,
    /// The reader aborted the export.
    Aborted,
}

impl Kind {
    /// Returns the value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Feed => "feed",
            Self::Pack => "pack",
        }
    }
}

impl ExportEnd {
    /// Returns the value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Aborted => "aborted",
        }
    }
}

impl Metrics {
    /// Creates the metrics, with all counters at zero.
    ///
    /// # Errors
    /// Fails if the name of a metric is registered twice, which does not happen in practice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(
                Opts::new("audit_http_requests_total", "Requests answered"),
                &["route", "method", "status"],
            )?,
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "audit_http_request_duration_seconds",
                    "Time until the head of the answer; the body of a stream follows later",
                )
                .buckets(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
                ]),
                &["route", "method"],
            )?,
            connections: IntGaugeVec::new(
                Opts::new(
                    "audit_database_connections",
                    "Connections to the database: open, idle, waited for, and the maximum",
                ),
                &["state"],
            )?,
            events_appended: IntCounter::new("audit_events_appended_total", "Events appended and committed")?,
            events_returned: IntCounterVec::new(
                Opts::new("audit_events_returned_total", "Events returned"),
                &["format"],
            )?,
            exports_running: IntGauge::new("audit_exports_running", "Exports that are running")?,
            exports_finished: IntCounterVec::new(
                Opts::new("audit_exports_finished_total", "Exports that have finished"),
                &["kind", "outcome"],
            )?,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.durations.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.clone()))?;
        metrics.registry.register(Box::new(metrics.events_appended.clone()))?;
        metrics.registry.register(Box::new(metrics.events_returned.clone()))?;
        metrics.registry.register(Box::new(metrics.exports_running.clone()))?;
        metrics.registry.register(Box::new(metrics.exports_finished.clone()))?;
        Ok(metrics)
    }

    /// Adds a metric that is shown only if its part of the sidecar is configured.
    ///
    /// # Errors
    /// Fails if the name of a metric is registered twice, which does not happen in practice.
    pub fn register(&self, collector: impl Collector + 'static) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(collector))
    }

    /// Counts a request. `route` is the template of its path, so that ids do not multiply the series.
    pub fn count_request(&self, route: &str, method: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, method, &status.to_string()]).inc();
        self.durations.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }

    /// Counts events that were returned.
    pub fn count_returned(&self, kind: Kind, events: u64) {
        self.events_returned.with_label_values(&[kind.as_str()]).inc_by(events);
    }

    /// Counts an export that has ended.
    pub fn count_export(&self, kind: Kind, end: ExportEnd) {
        self.exports_finished.with_label_values(&[kind.as_str(), end.as_str()]).inc();
    }

    /// Returns the page. It lacks the metrics that the database could not provide.
    ///
    /// # Errors
    /// Fails if a metric is not consistent, which does not happen in practice.
    pub fn render(&self, pool: &Status, status: Option<&status::Status>) -> Result<String, prometheus::Error> {
        for (state, count) in
            [("open", pool.size), ("idle", pool.available), ("waited_for", pool.waiting), ("max", pool.max_size)]
        {
            self.connections.with_label_values(&[state]).set(count.try_into().unwrap_or(i64::MAX));
        }
        let mut families = self.registry.gather();
        if let Some(status) = status {
            families.extend(of_status(status)?.gather());
        }
        TextEncoder::new().encode_to_string(&families)
    }
}

/// Builds a registry for each page, so that a value that is unknown now is not shown from an earlier page.
fn of_status(status: &status::Status) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let checks = IntGaugeVec::new(
        Opts::new("audit_status_ok", "Result of each health check: 1 if it passes, otherwise 0"),
        &["check"],
    )?;
    for check in &status.checks {
        checks.with_label_values(&[&check.name]).set(check.ok.into());
    }
    registry.register(Box::new(checks))?;
    if let Some(age) = status.maintenance_age {
        let gauge = Gauge::new("audit_maintenance_age_seconds", "Time since maintenance last ran to completion")?;
        gauge.set(age);
        registry.register(Box::new(gauge))?;
    }
    Ok(registry)
}

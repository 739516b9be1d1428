//! The output of the demo during its preparation.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The terminal, or plain lines if the output is not a terminal.
pub struct Screen {
    start: Instant,
}

impl Screen {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Prints the name of a step, runs it, and prints its duration.
    pub fn step<T>(&self, what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let bar = ProgressBar::new_spinner().with_message(format!("{what} …"));
        bar.enable_steady_tick(Duration::from_millis(100));
        let start = Instant::now();
        let result = work();
        bar.finish_and_clear();
        if result.is_ok() {
            self.done(what, start.elapsed());
        }
        result
    }

    /// Opens a progress bar for work of `total` parts.
    pub fn bar(&self, what: &str, total: u64) -> Bar<'_> {
        let style = ProgressStyle::with_template("  {msg} {bar:30} {human_pos} of {human_len}");
        let bar = ProgressBar::new(total).with_message(what.to_owned());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar { screen: self, what: what.to_owned(), bar, start: Instant::now() }
    }

    /// Prints the last line of the preparation.
    pub fn end(&self, what: &str) {
        println!("Ready after {:.1} s: {what}.", self.start.elapsed().as_secs_f64());
    }

    fn done(&self, what: &str, took: Duration) {
        println!("  {what}: {:.1} s", took.as_secs_f64());
    }
}

/// A progress bar.
pub struct Bar<'a> {
    screen: &'a Screen,
    what: String,
    bar: ProgressBar,
    start: Instant,
}

impl Bar<'_> {
    /// Advances the bar by `parts`.
    pub fn advance(&self, parts: usize) {
        self.bar.inc(parts as u64);
    }

    /// Prints a line above the bar.
    pub fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            println!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        self.bar.finish_and_clear();
        self.screen.done(&self.what, self.start.elapsed());
    }
}

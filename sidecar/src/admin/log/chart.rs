//! The bar chart of events over a period, by category. It is drawn on the server, as SVG.

use jiff::{SignedDuration, Span, ToSpan, Zoned};

use super::href;
use crate::admin::query::LogQuery;
use crate::admin::view;
use crate::admin::zone::Zone;
use crate::events::filters::CATEGORIES;
use crate::time::Time;

/// The length of a bar in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The argument of `audit.activity`.
    pub bucket: &'static str,
    /// The length in words, as in "events per …".
    pub name: &'static str,
    /// The usual length, in seconds.
    seconds: i64,
}

/// Events of a category in a bar.
pub struct Count {
    pub start: Time,
    pub category: String,
    pub events: i64,
}

/// A chart. Its coordinates are those of an SVG that is [`WIDTH`] wide and [`HEIGHT`] high.
pub struct Chart {
    pub bars: Vec<Bar>,
    pub gaps: Vec<Gap>,
    pub most: i64,
    pub step: &'static str,
    pub from: String,
    pub to: String,
    pub categories: Vec<&'static str>,
}

/// A bar, and the link that narrows the period to it.
pub struct Bar {
    pub href: String,
    pub label: String,
    pub x: String,
    pub width: String,
    pub parts: Vec<Part>,
}

/// The events of a category in a bar.
pub struct Part {
    pub category: &'static str,
    pub y: String,
    pub height: String,
}

/// A time during which sealing stood still.
pub struct Gap {
    pub x: String,
    pub width: String,
    pub label: String,
}

impl Step {
    /// Returns the shortest step that divides the period into at most [`MOST_BARS`] bars.
    pub fn of(from: Time, to: Time) -> Self {
        let seconds = (to.micros() - from.micros()) / 1_000_000;
        STEPS.into_iter().find(|step| seconds <= step.seconds * MOST_BARS).unwrap_or(LONGEST)
    }

    /// Returns the end of the bar that begins at `start`.
    fn end(self, start: &Zoned) -> Option<Zoned> {
        let span = match self.seconds {
            YEAR => 1.year(),
            QUARTER => 3.months(),
            MONTH => 1.month(),
            seconds if seconds >= DAY => Span::new().days(seconds / DAY),
            // The bars of a day begin anew at midnight.
            seconds => {
                let end = start.checked_add(SignedDuration::from_secs(seconds)).ok()?;
                let midnight = start.tomorrow().ok()?.start_of_day().ok()?;
                return Some(end.min(midnight));
            }
        };
        start.checked_add(span).ok()
    }
}

impl Chart {
    /// Draws the counts. `gaps` are the times during which sealing stood still.
    pub fn draw(
        counts: &[Count],
        gaps: &[(Time, Time)],
        step: Step,
        (from, to): (Time, Time),
        query: &LogQuery,
        zone: &Zone,
    ) -> Self {
        let mut chart = Self {
            bars: Vec::new(),
            gaps: Vec::new(),
            most: 0,
            step: step.name,
            from: zone.minute(from),
            to: zone.minute(to),
            categories: CATEGORIES
                .into_iter()
                .filter(|name| counts.iter().any(|count| count.category == *name))
                .collect(),
        };
        let groups: Vec<&[Count]> = counts.chunk_by(|a, b| a.start == b.start).collect();
        let sum = |group: &[Count]| group.iter().map(|count| count.events).sum::<i64>();
        chart.most = groups.iter().map(|group| sum(group)).max().unwrap_or(0);
        let length = (to.micros() - from.micros()).max(1) as f64;
        let at = |time: Time| ((time.micros() - from.micros()) as f64 / length).clamp(0.0, 1.0) * WIDTH;
        for (since, until) in gaps {
            let (left, right) = (at(*since), at(*until));
            let label = format!("Sealing stood still from {} to {}", zone.minute(*since), zone.minute(*until));
            chart.gaps.push(Gap { x: number(left), width: number((right - left).max(2.0)), label });
        }
        for group in groups {
            let start = group[0].start;
            let zoned = zone.zoned(start);
            let Some(end) = zoned.and_then(|start| step.end(&start)) else { continue };
            let Some(end) = Time::from_micros(end.timestamp().as_microsecond()) else { continue };
            let (left, right) = (at(start), at(end));
            // A narrow gap keeps neighbours apart.
            let (x, width) = (number(left), number((right - left - 1.0).max(1.0)));
            let mut top = HEIGHT;
            let mut parts = Vec::new();
            for category in CATEGORIES {
                let events: i64 =
                    group.iter().filter(|count| count.category == category).map(|count| count.events).sum();
                if events > 0 {
                    let height = (events as f64 / chart.most as f64 * HEIGHT).max(1.0);
                    top -= height;
                    parts.push(Part { category, y: number(top), height: number(height) });
                }
            }
            let by_category: Vec<String> =
                group.iter().map(|count| format!("{} {}", count.events, count.category)).collect();
            chart.bars.push(Bar {
                href: href(&query.within(start.max(from), end.min(to))),
                label: format!(
                    "{}: {} ({})",
                    zone.minute(start),
                    view::counted(sum(group), "event"),
                    by_category.join(", ")
                ),
                x,
                width,
                parts,
            });
        }
        chart
    }
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

/// Width of a chart.
pub const WIDTH: f64 = 1000.0;

/// Height of the bars.
pub const HEIGHT: f64 = 100.0;

const MOST_BARS: i64 = 62;

const DAY: i64 = 86_400;

const MONTH: i64 = 30 * DAY;

const QUARTER: i64 = 91 * DAY;

const YEAR: i64 = 365 * DAY;

const STEPS: [Step; 13] = [
    Step { bucket: "1 minute", name: "minute", seconds: 60 },
    Step { bucket: "5 minutes", name: "5 minutes", seconds: 300 },
    Step { bucket: "15 minutes", name: "15 minutes", seconds: 900 },
    Step { bucket: "30 minutes", name: "30 minutes", seconds: 1_800 },
    Step { bucket: "1 hour", name: "hour", seconds: 3_600 },
    Step { bucket: "3 hours", name: "3 hours", seconds: 10_800 },
    Step { bucket: "6 hours", name: "6 hours", seconds: 21_600 },
    Step { bucket: "12 hours", name: "12 hours", seconds: 43_200 },
    Step { bucket: "1 day", name: "day", seconds: DAY },
    Step { bucket: "7 days", name: "week", seconds: 7 * DAY },
    Step { bucket: "1 month", name: "month", seconds: MONTH },
    Step { bucket: "3 months", name: "quarter", seconds: QUARTER },
    LONGEST,
];

const LONGEST: Step = Step { bucket: "1 year", name: "year", seconds: YEAR };

#[cfg(test)]
mod tests {
    use super::{Chart, Count, Step};
    use crate::admin::query::LogQuery;
    use crate::admin::zone::Zone;
    use crate::time::Time;

    fn time(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn a_chart_has_a_few_dozen_bars() {
        for (from, to, bucket) in [
            ("2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z", "1 minute"),
            ("2026-03-01", "2026-03-02", "30 minutes"),
            ("2026-03-01", "2026-03-08", "3 hours"),
            ("2026-03-01", "2026-03-31", "12 hours"),
            ("2025-03-01", "2026-04-01", "7 days"),
            ("0001-01-01", "9999-01-01", "1 year"),
        ] {
            assert_eq!(Step::of(time(from), time(to)).bucket, bucket, "{from} {to}");
        }
    }

    #[test]
    fn a_bar_narrows_the_period_to_itself() {
        let count =
            |start: &str, category: &str, events| Count { start: time(start), category: category.to_owned(), events };
        let counts = [count("2026-03-01", "auth", 3), count("2026-03-01", "other", 1), count("2026-03-31", "auth", 2)];
        let period = (time("2026-03-01"), time("2026-03-31T12:00:00Z"));
        let query = LogQuery::parse("workspace=acme&actor=user%3Aada&range=30d");
        let step = Step { bucket: "1 day", name: "day", seconds: 86_400 };
        let chart =
            Chart::draw(&counts, &[(time("2026-03-03"), time("2026-03-04"))], step, period, &query, &Zone::utc());
        assert_eq!(chart.most, 4);
        assert_eq!(chart.categories, ["auth", "other"]);
        let bars: Vec<_> =
            chart.bars.iter().map(|bar| (bar.label.as_str(), bar.x.as_str(), bar.href.as_str())).collect();
        let address = "/admin/log?workspace=acme&actor=user%3Aada&since=2026-03";
        let [first, last] = [
            format!("{address}-01T00%3A00%3A00Z&until=2026-03-02T00%3A00%3A00Z"),
            format!("{address}-31T00%3A00%3A00Z&until=2026-03-31T12%3A00%3A00Z"),
        ];
        assert_eq!(
            bars,
            [
                ("2026-03-01 00:00: 4 events (3 auth, 1 other)", "0.0", first.as_str()),
                ("2026-03-31 00:00: 2 events (2 auth)", "983.6", last.as_str())
            ]
        );
        let parts: Vec<_> = chart.bars[0].parts.iter().map(|part| (part.category, &*part.y, &*part.height)).collect();
        assert_eq!(parts, [("auth", "25.0", "75.0"), ("other", "0.0", "25.0")]);
        let gap = &chart.gaps[0];
        assert_eq!(
            (&*gap.x, &*gap.width, &*gap.label),
            ("65.6", "32.8", "Sealing stood still from 2026-03-03 00:00 to 2026-03-04 00:00")
        );
    }
}

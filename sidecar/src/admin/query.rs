//! The state of the page of the audit log. All of it is in the query string.

use url::form_urlencoded::{self, Serializer};

use super::zone::Zone;
use crate::error::{ApiError, Code};
use crate::events::filters::FIELDS;
use crate::time::Time;

/// The state of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Filters as REST has them, except the period. The names can also be unknown, which REST refuses.
    pub filters: Vec<(String, String)>,
    /// Start and end of the period as they were typed, or empty.
    pub since: String,
    /// End of the period.
    pub until: String,
    /// A period that ends now. It counts if `since` and `until` are empty.
    pub range: Range,
    /// Whether events of category audit are shown.
    pub audit: bool,
    /// Whether the page shows new events as they come.
    pub live: bool,
    /// The place to continue after, or none on the first page.
    pub cursor: Option<String>,
    /// The cursors of the newer pages.
    pub back: Vec<String>,
}

/// Periods that end now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// 24 hours.
    Day,
    /// Seven days.
    #[default]
    Week,
    /// 30 days.
    Month,
    /// 90 days.
    Quarter,
    /// Everything that is kept.
    All,
}

impl Range {
    /// All periods, shortest first.
    pub const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::All];

    /// Returns the value of the query parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
            Self::All => "all",
        }
    }

    /// Returns the label of the link.
    pub fn label(self) -> &'static str {
        match self {
            Self::Day => "Last 24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
            Self::Quarter => "90 days",
            Self::All => "All that is kept",
        }
    }

    /// Returns the start of the period that ends at `now`, in whole seconds.
    pub fn since(self, now: Time) -> Option<Time> {
        let hours = match self {
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
            Self::Quarter => 90 * 24,
            Self::All => return Time::parse("0001-01-01").ok(),
        };
        let micros = now.micros() - hours * 3_600 * SECOND;
        Time::from_micros(micros - micros.rem_euclid(SECOND))
    }
}

impl LogQuery {
    /// Reads a query string as [`LogQuery::parse`] does, if it is not too long. Each filter appears in many links of the page.
    ///
    /// # Errors
    /// Fails with `invalid_value`.
    pub fn read(query: &str) -> Result<Self, ApiError> {
        if query.len() > MOST_BYTES || query.split('&').count() > MOST_PAIRS {
            return Err(ApiError::new(
                Code::InvalidValue,
                format!("the address has more than {MOST_BYTES} bytes or more than {MOST_PAIRS} values"),
            )
            .with_hint("Use fewer filters. A prefix such as ticket.* stands for many actions."));
        }
        Ok(Self::parse(query))
    }

    /// Reads the query string of the page. Parameters without a value are ignored, because a form sends its empty fields.
    pub fn parse(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in
            form_urlencoded::parse(query.as_bytes()).into_owned().filter(|(_, value)| !value.is_empty())
        {
            match name.as_str() {
                "since" => value.trim().clone_into(&mut read.since),
                "until" => value.trim().clone_into(&mut read.until),
                "range" => read.range = Range::ALL.into_iter().find(|range| range.name() == value).unwrap_or_default(),
                "audit" => read.audit = true,
                "live" => read.live = true,
                "cursor" => read.cursor = Some(value),
                "back" => read.back = value.split('~').map(ToOwned::to_owned).collect(),
                "ip" => read.add(&name, value.trim()),
                _ => read.add(&name, &value),
            }
        }
        if read.cursor.is_none() {
            read.back.clear();
        }
        read
    }

    /// Returns the query string with a period as it was chosen.
    pub fn to_text(&self) -> String {
        let mut out = Serializer::new(String::new());
        self.put_filters(&mut out);
        if self.has_times() {
            for (name, value) in [("since", &self.since), ("until", &self.until)] {
                if !value.is_empty() {
                    out.append_pair(name, value);
                }
            }
        }
        if !self.has_times() || self.is_all() {
            out.append_pair("range", self.range.name());
        }
        if self.audit {
            out.append_pair("audit", "1");
        }
        if self.live {
            out.append_pair("live", "1");
        }
        if let Some(cursor) = &self.cursor {
            out.append_pair("cursor", cursor);
        }
        if !self.back.is_empty() {
            out.append_pair("back", &self.back.join("~"));
        }
        out.finish()
    }

    /// Returns the same query for a period that does not move.
    pub fn at(&self, now: Time) -> Self {
        let mut fixed = self.clone();
        // The beginning of all that is kept does not move, and the range names it better than a time.
        if !self.has_times() && !self.is_all() {
            fixed.since = self.range.since(now).map_or_else(String::new, short);
        }
        fixed
    }

    /// Returns whether the period begins with the first event that is kept.
    fn is_all(&self) -> bool {
        self.range == Range::All && self.since.is_empty()
    }

    /// Returns the same query with times of RFC 3339 in UTC. Times without an offset are of the zone. A text that is not a
    /// time stays as it is.
    pub fn absolute(&self, zone: &Zone) -> Self {
        let absolute = |text: &str| zone.read(text).map_or_else(|| text.to_owned(), short);
        Self { since: absolute(&self.since), until: absolute(&self.until), ..self.clone() }
    }

    /// Returns a time of the query as the form shows it, in the zone.
    pub fn shown_time(&self, text: &str, zone: &Zone) -> String {
        zone.read(text).map_or_else(|| text.to_owned(), |time| zone.text(time))
    }

    /// Returns the query string for REST, for a period that does not move. It has no cursor.
    pub fn to_rest(&self, now: Time) -> String {
        let mut fixed = self.at(now);
        if fixed.is_all() {
            fixed.since = fixed.range.since(now).map_or_else(String::new, short);
        }
        let mut out = Serializer::new(String::new());
        fixed.put_filters(&mut out);
        for (name, value) in [("since", &fixed.since), ("until", &fixed.until)] {
            if !value.is_empty() {
                out.append_pair(name, value);
            }
        }
        if self.hides_audit() {
            out.append_pair("category!", "audit");
        }
        out.finish()
    }

    /// Returns whether events of category audit are left out. They are shown if the query asks for the category or for the
    /// workspace that holds nothing else.
    pub fn hides_audit(&self) -> bool {
        !self.audit
            && !self.has("category", "audit")
            && !self.has("workspace", "audit")
            && !self.has("category!", "audit")
    }

    /// Returns whether the period was typed.
    pub fn has_times(&self) -> bool {
        !self.since.is_empty() || !self.until.is_empty()
    }

    /// Returns the values of a filter.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.filters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// Returns whether a filter has this value.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.filters.iter().any(|(key, known)| key == name && known == value)
    }

    /// Returns the excluding filters.
    pub fn exclusions(&self) -> Vec<(String, String)> {
        let is_excluded = |name: &str| FIELDS.iter().any(|field| field.excluded == name);
        self.filters.iter().filter(|(name, _)| is_excluded(name)).cloned().collect()
    }

    /// Returns the first page with one more filter.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut more = self.first();
        more.add(name, value);
        more
    }

    /// Returns the first page without a filter.
    pub fn without(&self, name: &str, value: &str) -> Self {
        let mut less = self.first();
        less.filters.retain(|(key, known)| key != name || known != value);
        less
    }

    /// Returns the first page with a period that ends now.
    pub fn with_range(&self, range: Range) -> Self {
        Self { range, since: String::new(), until: String::new(), ..self.first() }
    }

    /// Returns the first page, which follows new events or does not. A page that follows has no fixed end.
    pub fn following(&self, live: bool) -> Self {
        Self { live, until: if live { String::new() } else { self.until.clone() }, ..self.first() }
    }

    /// Returns the first page of a period within that of the query.
    pub fn within(&self, since: Time, until: Time) -> Self {
        Self { since: short(since), until: short(until), ..self.first() }
    }

    /// Returns the first page.
    pub fn first(&self) -> Self {
        Self { cursor: None, back: Vec::new(), ..self.clone() }
    }

    /// Returns the page after this one.
    pub fn older(&self, next_cursor: &str) -> Self {
        let mut back = self.back.clone();
        back.push(self.cursor.clone().unwrap_or_else(|| FIRST.to_owned()));
        let excess = back.len().saturating_sub(MOST_BACK);
        back.drain(..excess);
        Self { live: false, cursor: Some(next_cursor.to_owned()), back, ..self.clone() }
    }

    /// Returns the page before this one, or none on the first page.
    pub fn newer(&self) -> Option<Self> {
        self.cursor.as_ref()?;
        let mut newer = self.clone();
        newer.cursor = newer.back.pop().filter(|cursor| cursor != FIRST);
        Some(newer)
    }

    fn add(&mut self, name: &str, value: &str) {
        if !value.is_empty() && !self.has(name, value) {
            self.filters.push((name.to_owned(), value.to_owned()));
        }
    }

    fn put_filters(&self, out: &mut Serializer<'_, String>) {
        for (name, value) in &self.filters {
            out.append_pair(name, value);
        }
    }
}

/// Returns RFC 3339 without a fraction of zero.
fn short(time: Time) -> String {
    time.to_string().replace(".000000Z", "Z")
}

/// Bytes of a query string.
const MOST_BYTES: usize = 8_192;

/// Parameters of a query string, also empty ones of the form.
const MOST_PAIRS: usize = 200;

/// Stands for the first page, which has no cursor.
const FIRST: &str = "first";

/// Maximum number of newer pages that a link remembers. Beyond them, a link leads to the first page.
const MOST_BACK: usize = 30;

const SECOND: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_survives_its_text() {
        let text = "workspace=acme&actor=a%2Cb&actor%21=system%3A*&since=2026-01-01&audit=1";
        assert_eq!(LogQuery::parse(text).to_text(), text);
        assert_eq!(
            LogQuery::parse("actor=&action=x&action=x&since=+2026-01-01+").to_text(),
            "action=x&since=2026-01-01"
        );
        assert_eq!(LogQuery::parse("range=nonsense").to_text(), "range=7d");
    }

    #[test]
    fn a_link_to_share_has_a_fixed_period() {
        let now = Time::parse("2026-03-08T10:00:00.5Z").unwrap();
        let query = LogQuery::parse("action=x&range=24h");
        assert_eq!(query.to_rest(now), "action=x&since=2026-03-07T10%3A00%3A00Z&category%21=audit");
        // All that is kept needs no time.
        let all = LogQuery::parse("range=all&until=2026-03-08T10%3A00%3A00Z").at(now);
        assert_eq!(all.to_text(), "until=2026-03-08T10%3A00%3A00Z&range=all");
        assert_eq!(LogQuery::parse("range=all&audit=1").at(now).to_text(), "range=all&audit=1");
        assert_eq!(all.to_rest(now), "since=0001-01-01T00%3A00%3A00Z&until=2026-03-08T10%3A00%3A00Z&category%21=audit");
        assert_eq!(LogQuery::parse("category=audit").to_rest(now).matches("audit").count(), 1);
        assert!(!LogQuery::parse("workspace=audit").hides_audit());
    }

    #[test]
    fn pages_lead_back_to_the_first() {
        let first = LogQuery::parse("action=x");
        let second = first.older("2.2");
        let third = LogQuery::parse(&second.older("1.1").to_text());
        assert_eq!(third.newer(), Some(second.clone()));
        assert_eq!(second.newer(), Some(first.clone()));
        assert_eq!(first.newer(), None);
        let deep = (0..100).fold(first.clone(), |page, n| page.older(&n.to_string()));
        let mut page = deep;
        for _ in 0..=MOST_BACK {
            page = page.newer().unwrap_or(first.clone());
        }
        assert_eq!(page, first);
    }
}

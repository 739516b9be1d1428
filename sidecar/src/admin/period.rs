//! The named periods that pages offer.

use jiff::civil::Date;
use jiff::{ToSpan, Zoned, tz::TimeZone};

/// A period that can be chosen.
pub struct Choice {
    pub value: &'static str,
    pub label: String,
    pub chosen: bool,
}

/// Returns the periods, of which `chosen` is chosen.
pub fn choices(chosen: &str, today: Date) -> Vec<Choice> {
    let named = |value, name: &str, (since, until): (Date, Date)| {
        let last = until.yesterday().unwrap_or(until);
        Choice { value, label: format!("{name} ({since} to {last})"), chosen: chosen == value }
    };
    vec![
        named(LAST_MONTH, "Last month", last_month(today)),
        named(LAST_QUARTER, "Last quarter", last_quarter(today)),
        Choice { value: CUSTOM, label: "The dates below".to_owned(), chosen: chosen == CUSTOM },
    ]
}

/// Returns the first day of a named period and the day after its last, or none for dates of one's own.
pub fn dates(name: &str, today: Date) -> Option<(Date, Date)> {
    match name {
        LAST_MONTH => Some(last_month(today)),
        LAST_QUARTER => Some(last_quarter(today)),
        _ => None,
    }
}

/// Returns the present day in UTC.
pub fn today() -> Date {
    Zoned::now().with_time_zone(TimeZone::UTC).date()
}

fn last_month(today: Date) -> (Date, Date) {
    let this = today.first_of_month();
    (this.saturating_sub(1.month()), this)
}

fn last_quarter(today: Date) -> (Date, Date) {
    let this = today.first_of_month().saturating_sub(((today.month() - 1) % 3).months());
    (this.saturating_sub(3.months()), this)
}

pub const LAST_MONTH: &str = "last-month";

pub const LAST_QUARTER: &str = "last-quarter";

pub const CUSTOM: &str = "custom";

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{last_month, last_quarter};

    #[test]
    fn periods_are_whole_months() {
        assert_eq!(last_month(date(2026, 1, 31)), (date(2025, 12, 1), date(2026, 1, 1)));
        assert_eq!(last_quarter(date(2026, 1, 31)), (date(2025, 10, 1), date(2026, 1, 1)));
        assert_eq!(last_quarter(date(2026, 6, 1)), (date(2026, 1, 1), date(2026, 4, 1)));
    }
}

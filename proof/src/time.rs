//! Times as a line contains them: RFC 3339, UTC, six decimals.
//!
//! The two conversions between days and dates are `days_from_civil` and `civil_from_days` of Howard Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms" (<https://howardhinnant.github.io/date_algorithms.html>). They are
//! limited to the years of the format.

/// The first time that has a text: 0001-01-01T00:00:00.000000Z, in microseconds since 1970-01-01T00:00:00Z.
pub const MIN: i64 = -62_135_596_800_000_000;

/// The last time that has a text: 9999-12-31T23:59:59.999999Z, in microseconds since 1970-01-01T00:00:00Z.
pub const MAX: i64 = 253_402_300_799_999_999;

/// Returns the text of a time in microseconds since 1970-01-01T00:00:00Z. It is ASCII. Returns None outside [`MIN`] to
/// [`MAX`].
pub fn to_text(micros: i64) -> Option<[u8; 27]> {
    if !(MIN..=MAX).contains(&micros) {
        return None;
    }
    let (year, month, day) = date(micros.div_euclid(DAY));
    let within = micros.rem_euclid(DAY);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (start, end, value) in [
        (0, 4, year),
        (5, 7, month),
        (8, 10, day),
        (11, 13, within / 3_600_000_000),
        (14, 16, within / 60_000_000 % 60),
        (17, 19, within / 1_000_000 % 60),
        (20, 26, within % 1_000_000),
    ] {
        put(&mut text[start..end], value);
    }
    Some(text)
}

/// Returns the time of a text, in microseconds since 1970-01-01T00:00:00Z. Returns None if the text is not exactly what
/// [`to_text`] writes for some time.
pub fn from_text(text: &[u8]) -> Option<i64> {
    let text: &[u8; 27] = text.try_into().ok()?;
    for (at, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')] {
        if text[at] != mark {
            return None;
        }
    }
    let year = number(&text[0..4], 1, 9999)?;
    let month = number(&text[5..7], 1, 12)?;
    let day = number(&text[8..10], 1, 31)?;
    let hour = number(&text[11..13], 0, 23)?;
    let minute = number(&text[14..16], 0, 59)?;
    let second = number(&text[17..19], 0, 59)?;
    let micros = number(&text[20..26], 0, 999_999)?;
    let days = days(year, month, day);
    // A day that its month does not have turns into one of the next month.
    if date(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

fn put(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn number(digits: &[u8], min: i64, max: i64) -> Option<i64> {
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    (min..=max).contains(&value).then_some(value)
}

/// Returns the days since 1970-01-01 of a date. The year starts in March here, so that a leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns year, month and day of a number of days since 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

const DAY: i64 = 86_400_000_000;

#[cfg(test)]
mod tests {
    use super::{DAY, MAX, MIN, date, days, from_text, to_text};

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1, 1, 1);
        for since_epoch in MIN / DAY..=MAX.div_euclid(DAY) {
            assert_eq!(date(since_epoch), (year, month, day));
            assert_eq!(days(year, month, day), since_epoch);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!(year, 10_000);
    }

    #[test]
    fn the_edges_hold() {
        assert_eq!(&to_text(MIN).unwrap(), b"0001-01-01T00:00:00.000000Z");
        assert_eq!(&to_text(MAX).unwrap(), b"9999-12-31T23:59:59.999999Z");
        assert_eq!(&to_text(-1).unwrap(), b"1969-12-31T23:59:59.999999Z");
        for inside in [MIN, -1, 0, MAX] {
            assert_eq!(from_text(&to_text(inside).unwrap()), Some(inside));
        }
        for outside in [i64::MIN, MIN - 1, MAX + 1, i64::MAX] {
            assert_eq!(to_text(outside), None);
        }
    }
}

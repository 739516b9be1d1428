/// Why an event has no line, or a line no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a line of format v1.
    #[error("not an event line: expected {expected} at byte {position}")]
    Line {
        /// Offset of the byte at which it was expected, counted from 0.
        position: usize,
        /// What would have fitted there.
        expected: &'static str,
    },
    /// An event's time lies outside the years 0001 to 9999.
    #[error("{key} is outside the years 0001 to 9999: {micros} µs since 1970")]
    Time {
        /// The key that the time would have stood under.
        key: &'static str,
        /// The time, in microseconds since 1970-01-01T00:00:00Z.
        micros: i64,
    },
    /// An event's id is below 1, or its leaf index above 2⁶³ − 1.
    #[error("{key} is outside the range of the format: {value}")]
    Number {
        /// `id` or `leaf`.
        key: &'static str,
        /// The number.
        value: i128,
    },
    /// An event's details are not a JSON object as PostgreSQL prints it.
    #[error("details are not a JSON object: expected {expected} at byte {position}")]
    Details {
        /// Offset within the details, counted from 0.
        position: usize,
        /// What would have fitted there.
        expected: &'static str,
    },
}

/// The reason why an event has no line, or a text is not a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a line of format v1.
    #[error("malformed line: expected {expected} at byte {position}")]
    Line {
        /// The offset of the first wrong byte, counted from 0.
        position: usize,
        /// The text that the format allows there.
        expected: &'static str,
    },
    /// A time of the event is outside the years 0001 to 9999.
    #[error("{key} is outside the years 0001 to 9999: {micros} µs since 1970")]
    Time {
        /// The key of the time.
        key: &'static str,
        /// The time, in microseconds since 1970-01-01T00:00:00Z.
        micros: i64,
    },
    /// The id of the event is below 1, or its leaf index is above 2⁶³ − 1.
    #[error("{key} is outside the range of the format: {value}")]
    Number {
        /// `id` or `leaf`.
        key: &'static str,
        /// The number.
        value: i128,
    },
    /// The details of the event are not a JSON object as PostgreSQL prints it.
    #[error("the details are not a JSON object: expected {expected} at byte {position}")]
    Details {
        /// The offset of the first wrong byte within the details, counted from 0.
        position: usize,
        /// The text that the format allows there.
        expected: &'static str,
    },
}

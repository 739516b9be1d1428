//! Selection of the format of an answer.

use axum::http::{HeaderMap, header};

use crate::error::{ApiError, Code};
use crate::metrics::Kind;

/// Formats in which events are returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page, `application/json`.
    Json,
    /// All events, one object per line, `application/x-ndjson`.
    Ndjson,
    /// All events, one row per event, `text/csv`.
    Csv,
}

impl Format {
    /// Returns the format that the Accept header prefers. JSON is the default. If several formats are equal, the first
    /// in the header wins.
    ///
    /// # Errors
    /// Fails with `not_acceptable` if the header accepts none of the formats.
    pub fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let values: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        if values.iter().all(|value| value.trim().is_empty()) {
            return Ok(Self::Json);
        }
        let mut best = None;
        for range in values.iter().flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            let format = match media.as_str() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "application/x-ndjson" | "application/ndjson" => Self::Ndjson,
                "text/csv" | "text/*" => Self::Csv,
                _ => continue,
            };
            if quality > 0.0 && best.is_none_or(|(_, most)| quality > most) {
                best = Some((format, quality));
            }
        }
        best.map(|(format, _)| format).ok_or_else(|| {
            ApiError::new(Code::NotAcceptable, "the path supports none of the media types in Accept")
                .with_hint("Use application/json, application/x-ndjson or text/csv.")
        })
    }

    /// Returns the short name of the format, for events about queries and for file names.
    pub fn name(self) -> &'static str {
        self.kind().as_str()
    }

    /// Returns the label of metrics.
    pub fn kind(self) -> Kind {
        match self {
            Self::Json => Kind::Json,
            Self::Ndjson => Kind::Ndjson,
            Self::Csv => Kind::Csv,
        }
    }

    /// Returns the media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::Format;

    #[test]
    fn the_preferred_form_is_taken() {
        for (accept, expected) in [
            ("", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some(Format::Json)),
            ("text/csv", Some(Format::Csv)),
            ("application/json;q=0.5, application/x-ndjson", Some(Format::Ndjson)),
            ("Text/CSV; charset=utf-8", Some(Format::Csv)),
            ("image/png", None),
            ("application/json;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Format::of(&headers).ok(), expected, "{accept}");
        }
        assert_eq!(Format::of(&HeaderMap::new()).ok(), Some(Format::Json));
    }
}

//! Request bodies: strict parsing of a JSON object.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header;
use futures_util::TryStreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;
use tokio::task::spawn_blocking;

use crate::error::{ApiError, Code};
use crate::http::encoding::Encoding;
use crate::text::first_chars;

/// Parses a body of type `application/json` that is one object. Unknown fields are refused if `T` refuses them.
///
/// # Errors
/// Fails with `unsupported_media_type`, `body_too_large` (more than 64 KiB), `incomplete_body`, `invalid_utf8`,
/// `invalid_json`, `invalid_value`, `unsupported_encoding` or `invalid_encoding`.
pub async fn object<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::new(Code::UnsupportedMediaType, "the path does not accept the media type of the body")
            .with_hint("Send Content-Type: application/json."));
    }
    let body = decoded(request, MOST).await?;
    let text = str::from_utf8(&body).map_err(|error| {
        ApiError::new(Code::InvalidUtf8, format!("the body is not valid UTF-8 at byte {}", error.valid_up_to()))
    })?;
    let text = without_mark(text);
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_as_wanted(&error))?;
    // Serde also deserializes a struct from an array, by the positions of its fields. That is refused here.
    if !raw.get().starts_with('{') {
        return Err(ApiError::new(Code::InvalidValue, "the body is not a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| not_as_wanted(&error))
}

/// Refuses a body if the path accepts none.
///
/// # Errors
/// Fails with `invalid_value`, `incomplete_body`.
pub async fn none(request: Request) -> Result<(), ApiError> {
    match bytes(request.into_body(), 0).await {
        Err(error) if error.code() == Code::BodyTooLarge => {
            Err(ApiError::new(Code::InvalidValue, "the path does not accept a body"))
        }
        other => other.map(drop),
    }
}

/// Reads a whole body, and decompresses it. Both its compressed and its decompressed form have at most `most` bytes.
///
/// # Errors
/// Fails with `body_too_large`, `incomplete_body`, `unsupported_encoding` or `invalid_encoding`.
pub async fn decoded(request: Request, most: usize) -> Result<Vec<u8>, ApiError> {
    let encoding = Encoding::of(request.headers())?;
    let body = bytes(request.into_body(), most).await?;
    match encoding {
        Some(encoding) if !body.is_empty() => {
            spawn_blocking(move || encoding.decode(&body, most)).await.map_err(ApiError::internal)?
        }
        _ => Ok(body),
    }
}

/// Returns the text without the byte order mark that some programs write before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a whole body of at most `most` bytes.
///
/// # Errors
/// Fails with `body_too_large`, `incomplete_body`.
pub async fn bytes(body: Body, most: usize) -> Result<Vec<u8>, ApiError> {
    let too_large = || ApiError::new(Code::BodyTooLarge, format!("the body has more than {most} bytes"));
    let announced = body.size_hint().exact();
    if announced.is_some_and(|size| size > most as u64) {
        return Err(too_large());
    }
    let mut all = Vec::with_capacity(announced.unwrap_or_default().try_into().unwrap_or_default());
    let mut chunks = body.into_data_stream();
    let incomplete = |error: axum::Error| {
        ApiError::new(Code::IncompleteBody, "the body ended early; nothing was stored").with_cause(error)
    };
    while let Some(chunk) = chunks.try_next().await.map_err(incomplete)? {
        if all.len() + chunk.len() > most {
            return Err(too_large());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

fn not_as_wanted(error: &serde_json::Error) -> ApiError {
    let (code, what) = match error.classify() {
        Category::Data => (Code::InvalidValue, "the body does not have the expected form"),
        _ => (Code::InvalidJson, "the body is not valid JSON"),
    };
    // The message repeats an unknown name or a wrong value in full, so it is truncated.
    ApiError::new(code, format!("{what}: {}", first_chars(&error.to_string(), 300)))
}

const MOST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use serde::Deserialize;

    use super::object;
    use crate::error::Code;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        a: String,
        b: Option<String>,
    }

    async fn read(media: &str, body: impl Into<Body>) -> Result<Fields, Code> {
        let request = Request::builder().header("content-type", media).body(body.into()).unwrap();
        object(request).await.map_err(|error| error.code())
    }

    #[tokio::test]
    async fn an_object_is_read_and_nothing_else() {
        let json = "application/json; charset=utf-8";
        assert_eq!(read(json, r#" {"a": "x", "b": null} "#).await, Ok(Fields { a: "x".into(), b: None }));
        assert_eq!(read(json, "\u{feff}{\"a\": \"x\"}").await, Ok(Fields { a: "x".into(), b: None }));
        for (body, code) in [
            (&br#"["x", "y"]"#[..], Code::InvalidValue),
            (br#""x""#, Code::InvalidValue),
            (br#"{"a": 1}"#, Code::InvalidValue),
            (br#"{"b": "x"}"#, Code::InvalidValue),
            (br#"{"a": "x", "c": "y"}"#, Code::InvalidValue),
            (br#"{"a": "x", "a": "y"}"#, Code::InvalidValue),
            (br#"{"a": "x"} x"#, Code::InvalidJson),
            (br#"{"a": "x""#, Code::InvalidJson),
            (b"", Code::InvalidJson),
            ("\u{feff}\u{feff}{\"a\": \"x\"}".as_bytes(), Code::InvalidJson),
            (b"{\"a\": \"\xff\"}", Code::InvalidUtf8),
        ] {
            assert_eq!(read(json, body.to_vec()).await, Err(code), "{}", body.escape_ascii());
        }
        assert_eq!(read(json, format!(r#"{{"a": "{}"}}"#, "x".repeat(70_000))).await, Err(Code::BodyTooLarge));
        for media in ["", "text/plain", "application/x-ndjson"] {
            assert_eq!(read(media, r#"{"a": "x"}"#).await, Err(Code::UnsupportedMediaType));
        }
    }
}

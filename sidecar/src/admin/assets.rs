//! The style sheet, which is embedded in the program.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::error::{ApiError, Code};
use crate::text::hex;

/// Route of the style sheet.
pub const STYLE_ROUTE: &str = "/admin/assets/{file}";

/// Path of the style sheet. It has the hash of the content, so a browser can keep the file for ever.
pub static STYLE_PATH: LazyLock<String> = LazyLock::new(|| format!("/admin/assets/{}", *FILE));

/// Answers with the style sheet.
///
/// # Errors
/// Fails with `not_found` if the hash is that of another version.
pub async fn style(Path(file): Path<String>) -> Result<Response, ApiError> {
    if file != *FILE {
        return Err(ApiError::new(Code::NotFound, "the path does not exist"));
    }
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, IMMUTABLE)];
    Ok((headers, STYLE).into_response())
}

const STYLE: &str = include_str!("../../assets/admin.css");

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

static FILE: LazyLock<String> = LazyLock::new(|| format!("admin.{}.css", &hex(&Sha256::digest(STYLE))[..16]));

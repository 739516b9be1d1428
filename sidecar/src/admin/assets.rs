//! The style sheet and the scripts, which are embedded in the program.

use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::error::{ApiError, Code};
use crate::text::hex;

/// Route of the files.
pub const ROUTE: &str = "/admin/assets/{file}";

/// A file. Its path has the hash of the content, so a browser can keep it for ever.
pub struct Asset {
    /// Path of the file.
    pub path: String,
    content_type: &'static str,
    content: &'static str,
    compressed: Vec<u8>,
}

/// The style sheet of all pages.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("admin.css", "text/css; charset=utf-8", include_str!("../../assets/admin/admin.css")));

/// The scripts of all pages: htmx, and modules of our own.
pub static SCRIPTS: LazyLock<[Asset; 9]> = LazyLock::new(|| {
    [
        Asset::script("htmx.js", include_str!("../../assets/htmx/htmx.min.js")),
        Asset::script("zone.js", include_str!("../../assets/admin/zone.js")),
        Asset::script("rows.js", include_str!("../../assets/admin/rows.js")),
        Asset::script("chart.js", include_str!("../../assets/admin/chart.js")),
        Asset::script("copy.js", include_str!("../../assets/admin/copy.js")),
        Asset::script("download.js", include_str!("../../assets/admin/download.js")),
        Asset::script("follow.js", include_str!("../../assets/admin/follow.js")),
        Asset::script("busy.js", include_str!("../../assets/admin/busy.js")),
        Asset::script("submit.js", include_str!("../../assets/admin/submit.js")),
    ]
});

impl Asset {
    fn script(name: &str, content: &'static str) -> Self {
        Self::new(name, "text/javascript; charset=utf-8", content)
    }

    fn new(name: &str, content_type: &'static str, content: &'static str) -> Self {
        let hash = hex(&Sha256::digest(content));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory cannot fail. An empty result would be an empty file, which every browser test notices.
        let compressed = encoder.write_all(content.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { path: format!("/admin/assets/{}.{name}", &hash[..16]), content_type, content, compressed }
    }
}

/// Answers with a file, compressed if the client accepts gzip.
///
/// # Errors
/// Fails with `not_found` if there is no such file, or if the hash is that of another version.
pub async fn file(Path(file): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let asset = [&*STYLE].into_iter().chain(SCRIPTS.iter()).find(|asset| asset.path.ends_with(&format!("/{file}")));
    let asset = asset.ok_or_else(|| ApiError::new(Code::NotFound, "the path does not exist"))?;
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = accepted.flat_map(|value| value.split(',')).map(|coding| coding.trim().to_ascii_lowercase());
    let fixed = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ];
    Ok(if codings.any(|coding| coding == "gzip") {
        (fixed, [(header::CONTENT_ENCODING, "gzip")], asset.compressed.as_slice()).into_response()
    } else {
        (fixed, asset.content).into_response()
    })
}

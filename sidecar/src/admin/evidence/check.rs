//! The check of a pack on the server. Another process checks it, whose memory is limited, because a pack can come from anyone.

use std::process::Stdio;

use askama::Template;
use axum::Extension;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::admin::layout::{self, Frame};
use crate::admin::origin;
use crate::admin::session::Session;
use crate::admin::view;
use crate::error::{ApiError, Code};
use crate::http::rights::Right;
use crate::text::printable;

#[derive(Template)]
#[template(path = "admin/check.html")]
struct CheckPage {
    frame: Frame,
    file: String,
    verdict: Verdict,
    /// Whether only the pack itself names the key that signed it.
    is_key_unconfirmed: bool,
    report: String,
}

/// The result of a check.
struct Verdict {
    style: &'static str,
    heading: &'static str,
    text: &'static str,
}

/// The checks that run. Each needs memory and a processor.
#[derive(Clone)]
pub struct Checks(std::sync::Arc<Semaphore>);

impl Default for Checks {
    fn default() -> Self {
        Self(std::sync::Arc::new(Semaphore::new(1)))
    }
}

/// Checks the pack of the form.
pub async fn check(
    session: Session,
    Extension(checks): Extension<Checks>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Export)?;
    origin::require_same(&headers)?;
    let _turn = checks.0.try_acquire().map_err(|_| {
        ApiError::new(Code::TooManyExports, "another pack is being checked").with_hint("Try again in a minute.")
    })?;
    let (name, pack) = receive(&session, form).await?;
    let (verdict, report) = verify(&pack).await?;
    let page = CheckPage {
        frame: Frame::new("Check of a pack", "evidence", Some(&session)),
        file: view::shown(&name, view::CELL),
        verdict,
        is_key_unconfirmed: report
            .lines()
            .next()
            .is_some_and(|first| first.contains(" (KEY NOT CONFIRMED)  workspace ")),
        report,
    };
    layout::answer(StatusCode::OK, &page)
}

/// Stores the file of the form. The form token must come before the file.
async fn receive(session: &Session, mut form: Multipart) -> Result<(String, NamedTempFile), ApiError> {
    let mut is_own_form = false;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        match field.name() {
            Some("form_token") => is_own_form = session.id.is_form_token(&field.text().await.map_err(malformed)?),
            Some("pack") if is_own_form => {
                let name = field.file_name().unwrap_or_default().to_owned();
                if name.is_empty() {
                    return Err(ApiError::new(Code::InvalidValue, "the form has no file").with_hint("Choose a pack."));
                }
                return Ok((name, store(field).await?));
            }
            _ => break,
        }
    }
    Err(origin::refusal("the form belongs to another session"))
}

async fn store(mut field: Field<'_>) -> Result<NamedTempFile, ApiError> {
    let file = NamedTempFile::with_suffix(".zip").map_err(ApiError::internal)?;
    let mut out = File::from_std(file.reopen().map_err(ApiError::internal)?);
    let mut size = 0;
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        size += chunk.len();
        if size > MOST_BYTES {
            return Err(too_large());
        }
        out.write_all(&chunk).await.map_err(ApiError::internal)?;
    }
    out.flush().await.map_err(ApiError::internal)?;
    Ok(file)
}

fn malformed(error: MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    ApiError::new(Code::InvalidValue, format!("the form cannot be read: {error}"))
}

fn too_large() -> ApiError {
    ApiError::new(Code::BodyTooLarge, "the pack is larger than 256 MiB")
        .with_hint("Check it on your computer, with audit-sidecar verify.")
}

async fn verify(pack: &NamedTempFile) -> Result<(Verdict, String), ApiError> {
    let program = std::env::current_exe().map_err(ApiError::internal)?;
    let output = Command::new(program)
        .args(["verify", "--max-memory", MEMORY, "--"])
        .arg(pack.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ApiError::internal)?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    // The report begins with the result.
    let verdict = match report.split_whitespace().next() {
        Some("COMPLETE") => COMPLETE,
        Some("PARTIAL") => PARTIAL,
        Some("UNPROVEN") => UNPROVEN,
        Some("INVALID") => INVALID,
        _ if output.status.code() == Some(2) => {
            let told = String::from_utf8_lossy(&output.stderr);
            // The message names the temporary file, which means nothing to the reader.
            let told = told.split_once(" cannot be checked: ").map_or(&*told, |(_, why)| why);
            return Ok((UNREADABLE, printable(told.trim())));
        }
        _ => STOPPED,
    };
    Ok((verdict, report))
}

const COMPLETE: Verdict = Verdict {
    style: "good",
    heading: "The pack is complete and unchanged",
    text: "It holds every event of its period that its definition selects, as the audit log recorded them.",
};

const PARTIAL: Verdict = Verdict {
    style: "warn",
    heading: "The events are unchanged, but the proof has limits",
    text: "The report below says what the pack does not prove.",
};

const UNPROVEN: Verdict = Verdict {
    style: "warn",
    heading: "The pack has no proof",
    text: "Its files agree with each other, but anybody could have made them.",
};

const INVALID: Verdict = Verdict {
    style: "bad",
    heading: "The pack is not valid",
    text: "It was changed or damaged after it was made, or it was not made by an audit log. Do not rely on it.",
};

const UNREADABLE: Verdict = Verdict {
    style: "bad",
    heading: "The file cannot be checked",
    text: "It is not a pack, or it is damaged so that it cannot be read.",
};

const STOPPED: Verdict = Verdict {
    style: "bad",
    heading: "The check was stopped",
    text: "It needed more memory than this server gives to a check. Check the pack on your computer, with audit-sidecar verify.",
};

/// Bytes of a pack.
pub const MOST_BYTES: usize = 256 << 20;

/// Memory of the process that checks.
const MEMORY: &str = "1GiB";

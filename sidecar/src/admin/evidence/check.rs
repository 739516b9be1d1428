//! The check of a pack on the server. Another process checks it, whose memory is limited, because a pack can come from anyone.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use askama::Template;
use audit_proof::checkpoint::Key;
use axum::Extension;
use axum::body::Body;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::StreamExt;
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
use crate::http::state::AppState;
use crate::text::{printable, quoted, quoted_start};

#[derive(Template)]
#[template(path = "admin/check.html")]
struct CheckPage {
    frame: Frame,
    file: String,
    verdict: Verdict,
    /// The remark on the key that signed the pack, or nothing.
    key: Option<&'static str>,
    report: String,
}

/// The result of a check.
struct Verdict {
    style: &'static str,
    heading: &'static str,
    text: &'static str,
}

/// The uploads and the checks that run. A check needs memory and a processor, and an upload a temporary file.
#[derive(Clone)]
pub struct Checks {
    uploads: Arc<Semaphore>,
    checks: Arc<Semaphore>,
}

impl Default for Checks {
    fn default() -> Self {
        Self { uploads: Arc::new(Semaphore::new(4)), checks: Arc::new(Semaphore::new(1)) }
    }
}

/// Checks the pack of the form.
pub async fn check(
    State(state): State<AppState>,
    session: Session,
    Extension(checks): Extension<Checks>,
    request: Request,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Export)?;
    origin::require_same(request.headers())?;
    let busy =
        || ApiError::new(Code::TooManyExports, "another pack is being checked").with_hint("Try again in a minute.");
    let _upload = checks.uploads.try_acquire().map_err(|_| busy())?;
    let Received { name, key, pack } = receive(&session, request).await?;
    // The turn begins after the upload, which can be slow.
    let _turn = checks.checks.try_acquire().map_err(|_| busy())?;
    let (mut verdict, report) = verify(&pack, key.as_ref()).await?;
    let mut of_key = None;
    if result(&report).1.starts_with("(KEY NOT CONFIRMED)") {
        (verdict.style, verdict.heading) = ("warn", UNCONFIRMED);
        of_key = Some(whose_key(&report, &state.signing_keys));
    } else if key.is_some() && verdict.style == "good" {
        of_key = Some("The pack is signed with the key that you gave.");
    } else if key.is_some() && result(&report).0 == "INVALID" {
        of_key = Some("This can also mean that the key that you gave is another than the one that signed the pack.");
    }
    let page = CheckPage {
        frame: Frame::new("Check of a pack", "evidence", Some(&session)),
        file: view::shown(&name, view::CELL),
        verdict,
        key: of_key,
        report,
    };
    layout::answer(StatusCode::OK, &page)
}

/// Says whose key signed a pack that only names its key itself.
fn whose_key(report: &str, own: &[String]) -> &'static str {
    // Texts of the pack are quoted, so none of them has a line feed.
    let signed_by = |key: &String| report.contains(&format!("\n  The log signed with the key\n    {}\n", quoted(key)));
    match own {
        [] => {
            "Only the pack itself names the key. Compare the key in the report with one that you obtained in another way."
        }
        own if own.iter().any(signed_by) => {
            "The pack is signed with the key of this server. If you do not rely on this server, compare the key in the report \
             with one that you obtained in another way."
        }
        _ => {
            "The pack is signed with another key than that of this server. Ask the maker of the pack for the key, in another \
             way than by this pack."
        }
    }
}

/// The file of the form.
struct Received {
    name: String,
    /// The key that the reader trusts.
    key: Option<Key>,
    pack: NamedTempFile,
}

/// Stores the file of the form. The form token and the key must come before the file, and all within the first
/// [`MOST_BEFORE`] bytes.
async fn receive(session: &Session, request: Request) -> Result<Received, ApiError> {
    let has_begun = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&has_begun);
    let mut before = 0;
    let limited = |body: Body| {
        Body::from_stream(body.into_data_stream().map(move |chunk| {
            let chunk = chunk.map_err(axum::Error::into_inner)?;
            before += if seen.load(Ordering::Relaxed) { 0 } else { chunk.len() };
            if before > MOST_BEFORE { Err(axum::BoxError::from("the file begins too late")) } else { Ok(chunk) }
        }))
    };
    let form = Multipart::from_request(request.map(limited), &()).await;
    let mut form = form.map_err(|error| ApiError::new(Code::InvalidValue, error.to_string()))?;
    let mut is_own_form = false;
    let mut key = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        match field.name() {
            Some("form_token") => is_own_form = session.id.is_form_token(&field.text().await.map_err(malformed)?),
            Some("key") if is_own_form => {
                let text = field.text().await.map_err(malformed)?;
                key = Some(text.trim()).filter(|text| !text.is_empty()).map(read_key).transpose()?;
            }
            Some("pack") if is_own_form => {
                has_begun.store(true, Ordering::Relaxed);
                let name = field.file_name().unwrap_or_default().to_owned();
                if name.is_empty() {
                    return Err(ApiError::new(Code::InvalidValue, "the form has no file").with_hint("Choose a pack."));
                }
                return Ok(Received { name, key, pack: store(field).await? });
            }
            _ => break,
        }
    }
    Err(origin::refusal("the form belongs to another session"))
}

/// Reads a key. A text that is not a key never reaches the program that checks, which would read a file of that name.
fn read_key(text: &str) -> Result<Key, ApiError> {
    Key::parse(text).map_err(|_| {
        ApiError::new(Code::InvalidValue, format!("Key of the audit log: {} is not a key", quoted_start(text)))
            .with_hint("Paste the whole key, as audit-sidecar key show prints it, or leave the field empty.")
    })
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

async fn verify(pack: &NamedTempFile, key: Option<&Key>) -> Result<(Verdict, String), ApiError> {
    let program = std::env::current_exe().map_err(ApiError::internal)?;
    let output = Command::new(program)
        .args(["verify", "--max-memory", MEMORY])
        .args(key.map(|key| format!("--key={}", key.encoded())))
        .arg("--")
        .arg(pack.path())
        // The process needs no secret of this one, but the folder with the keys that `key trust` has stored.
        .env_clear()
        .envs(["HOME", "XDG_CONFIG_HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ApiError::internal)?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let verdict = match result(&report).0 {
        "COMPLETE" => COMPLETE,
        "PARTIAL" => PARTIAL,
        "UNPROVEN" => UNPROVEN,
        "INVALID" => INVALID,
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

/// Returns the result that a report begins with, and the text behind it.
fn result(report: &str) -> (&str, &str) {
    report.split_once(char::is_whitespace).unwrap_or((report, ""))
}

const COMPLETE: Verdict = Verdict {
    style: "good",
    heading: "The pack is complete and unchanged",
    text: "It holds every event of its period that its definition selects, as the audit log recorded them.",
};

const UNCONFIRMED: &str = "The events are unchanged if the key is the right one";

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

/// Bytes of the form before the file. A part of them can arrive together with the beginning of the file.
const MOST_BEFORE: usize = 1 << 20;

/// Memory of the process that checks.
const MEMORY: &str = "1GiB";

//! The codes: part of the contract with clients, never renamed.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// One line a code: its name, its HTTP status, what it means. The text is also what the API's description tells.
macro_rules! codes {
    ($($name:ident = $status:ident, $meaning:literal;)*) => {
        /// What kind of error it is. Programs go by this, not by the message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    Unauthorized = UNAUTHORIZED, "No token, or one that is not (or no longer) good.";
    Forbidden = FORBIDDEN, "The token's role does not allow this, or the database role of the sidecar lacks a right.";
    WrongWorkspace = FORBIDDEN, "The token is for another workspace.";
    MissingWorkspace = BAD_REQUEST, "No workspace given, and the token is for all of them.";
    UnknownParameter = BAD_REQUEST, "A query parameter that there is not; `detail.parameter` names it.";
    RepeatedParameter = BAD_REQUEST, "A query parameter given twice; `detail.parameter` names it.";
    InvalidValue = BAD_REQUEST, "A value that is not acceptable.";
    InvalidRetention = BAD_REQUEST, "The retention is not of whole months and days, or not from 60 days to 100 years.";
    InvalidRange = BAD_REQUEST, "Since is not before until.";
    InvalidCursor = BAD_REQUEST, "The cursor is not one that a page ended with.";
    InvalidJson = BAD_REQUEST, "The body is not JSON; `detail.line` or `detail.element` says where.";
    InvalidUtf8 = BAD_REQUEST, "The body is not UTF-8.";
    InvalidEvent = BAD_REQUEST, "An event is malformed (unknown field, wrong type, no object); `detail.line` or `detail.element` says which.";
    IncompleteBody = BAD_REQUEST, "The upload ended before it was complete; nothing was stored.";
    EventNotFound = NOT_FOUND, "There is no such event in a workspace of the token.";
    UnknownWorkspace = NOT_FOUND, "The workspace has no events at all, most likely a slip in its name (packs).";
    PackNotFound = NOT_FOUND, "There is no such pack.";
    NotFound = NOT_FOUND, "There is nothing at this path.";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "The path does not take this method.";
    NotAcceptable = NOT_ACCEPTABLE, "None of the media types in Accept can be had here.";
    NotRedactable = CONFLICT, "The event is one of the log's own, under legal hold, or has lost that field already.";
    LegalHoldConflict = CONFLICT, "The workspace is under this very legal hold already, or not under the one to be released.";
    BodyTooLarge = PAYLOAD_TOO_LARGE, "The body is larger than the sidecar takes.";
    DetailsTooLarge = PAYLOAD_TOO_LARGE, "The details of an event are larger than the database takes.";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "The body's media type is not one that is taken here.";
    UnknownAction = UNPROCESSABLE_ENTITY, "The action is not in the catalog, and the database refuses such.";
    InvalidDetails = UNPROCESSABLE_ENTITY, "The details are no object, lack a required key, or do not match the action's schema.";
    TooManyExports = TOO_MANY_REQUESTS, "As many exports run as may run; `Retry-After` says when to try again.";
    Internal = INTERNAL_SERVER_ERROR, "A fault of the sidecar.";
    DatabaseUnavailable = SERVICE_UNAVAILABLE, "The database cannot be reached, restarts, is overloaded or takes no writes; `Retry-After` says when to try again.";
    ExtensionMissing = SERVICE_UNAVAILABLE, "The database does not have the extension in a version that fits.";
    Timeout = GATEWAY_TIMEOUT, "It took too long.";
}

impl Code {
    /// Seconds after which it is worth trying again, where that is likely to help.
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Self::DatabaseUnavailable => Some(2),
            Self::TooManyExports => Some(10),
            _ => None,
        }
    }
}

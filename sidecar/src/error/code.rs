//! The error codes. They are part of the contract with clients, and are never renamed.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// Defines the codes, one per line: name, HTTP status and meaning. The meaning is also part of the OpenAPI document.
macro_rules! codes {
    ($($name:ident = $status:ident, $meaning:literal;)*) => {
        /// The kind of an error. Programs must evaluate the code, not the message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the HTTP status of the code.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Returns the meaning of the code.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    Unauthorized = UNAUTHORIZED, "The request has no token, or the token is unknown, expired or revoked.";
    Forbidden = FORBIDDEN, "The token's role does not allow the request, the identity provider gives you no role, or the database role of the sidecar lacks a privilege.";
    WrongWorkspace = FORBIDDEN, "The token is for another workspace.";
    MissingWorkspace = BAD_REQUEST, "The request names no workspace, and the token is for all workspaces.";
    UnknownParameter = BAD_REQUEST, "The query parameter in `detail.parameter` does not exist.";
    RepeatedParameter = BAD_REQUEST, "The query parameter in `detail.parameter` is given more than once.";
    InvalidValue = BAD_REQUEST, "A value is not valid.";
    InvalidRetention = BAD_REQUEST, "The retention does not consist of whole months and days, or is not between 60 days and 100 years.";
    InvalidRange = BAD_REQUEST, "`since` is not before `until`, or `until` is before the default range and `since` is missing.";
    InvalidCursor = BAD_REQUEST, "The cursor is not the `next_cursor` of a page.";
    InvalidJson = BAD_REQUEST, "The body is not valid JSON. `detail.line` or `detail.element` gives the place.";
    InvalidUtf8 = BAD_REQUEST, "The body or the query string is not valid UTF-8.";
    InvalidEvent = BAD_REQUEST, "An event is malformed: it has an unknown field or a wrong type, or is not an object. `detail.line` or `detail.element` gives the place.";
    InvalidEncoding = BAD_REQUEST, "The compressed body is damaged or ended early. Nothing was stored.";
    IncompleteBody = BAD_REQUEST, "The upload ended early. Nothing was stored.";
    EventNotFound = NOT_FOUND, "The event does not exist in a workspace of the token.";
    UnknownWorkspace = NOT_FOUND, "The workspace of a pack has no events. Its name is probably misspelt.";
    PackNotFound = NOT_FOUND, "The pack does not exist.";
    NotFound = NOT_FOUND, "The path does not exist.";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "The path does not support this method.";
    NotAcceptable = NOT_ACCEPTABLE, "The path supports none of the media types in `Accept`.";
    NotRedactable = CONFLICT, "The event is of category `audit` or under legal hold, or the field has already been erased.";
    LegalHoldConflict = CONFLICT, "The same legal hold is already active, or the hold to be released is not.";
    BodyTooLarge = PAYLOAD_TOO_LARGE, "The body is larger than the sidecar accepts.";
    DetailsTooLarge = PAYLOAD_TOO_LARGE, "The details of an event are larger than `audit.max_details_size`.";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "The path does not accept the media type of the body.";
    UnsupportedEncoding = UNSUPPORTED_MEDIA_TYPE, "The sidecar does not accept the content encoding of the body. `Accept-Encoding` names the accepted ones.";
    UnknownAction = UNPROCESSABLE_ENTITY, "The action is not in the catalog, and the database is configured to refuse unknown actions.";
    InvalidDetails = UNPROCESSABLE_ENTITY, "The details are not an object, lack a required key, or do not match the action's schema.";
    TooManyExports = TOO_MANY_REQUESTS, "The maximum number of exports is running. `Retry-After` says when to try again.";
    Internal = INTERNAL_SERVER_ERROR, "An internal error occurred. The sidecar log has details.";
    DatabaseUnavailable = SERVICE_UNAVAILABLE, "The database is unreachable, restarting, overloaded or read-only. `Retry-After` says when to try again.";
    TransactionConflict = SERVICE_UNAVAILABLE, "The request conflicted with other ones, such as in a deadlock, also when it was tried again. Nothing was changed. `Retry-After` says when to try again.";
    ExtensionMissing = SERVICE_UNAVAILABLE, "The extension is not installed in the database, or its version does not match the sidecar.";
    Timeout = GATEWAY_TIMEOUT, "The request took too long. Narrow the time range, or add a filter.";
}

impl Code {
    /// Returns the number of seconds after which a retry is likely to succeed.
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Self::DatabaseUnavailable | Self::TransactionConflict => Some(2),
            Self::TooManyExports => Some(10),
            _ => None,
        }
    }
}

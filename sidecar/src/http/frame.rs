//! The permission to show an answer in a frame of another site.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::EmbedOrigin;

/// Lets pages of these origins show the answer in a frame. Without an origin, no page may.
pub(super) fn allow(headers: &mut HeaderMap, origins: &[EmbedOrigin]) {
    let policy = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let Some((rest, "")) = policy.and_then(|policy| policy.split_once(NOBODY)) else { return };
    if origins.is_empty() {
        return;
    }
    let origins: Vec<&str> = origins.iter().map(EmbedOrigin::as_str).collect();
    if let Ok(policy) = HeaderValue::from_str(&format!("{rest}frame-ancestors {}", origins.join(" "))) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// The end of the policy of every answer.
const NOBODY: &str = "frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(origins: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        let before = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, before);
        let origins: Vec<EmbedOrigin> = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        allow(&mut headers, &origins);
        headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
    }

    #[test]
    fn only_configured_origins_may_frame() {
        assert_eq!(policy(&[]), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(
            policy(&["https://app.example", "http://localhost:8080"]),
            "default-src 'none'; frame-ancestors https://app.example http://localhost:8080"
        );
    }
}

//! The claims of an identity.

use serde_json::{Map, Value};

/// The claims of an identity, by name.
pub(super) type Claims = Map<String, Value>;

/// Returns the claim at a path, such as `email` or `realm_access.roles`. A name that has dots itself, such as
/// `https://example.com/roles`, counts before a path.
pub(super) fn at<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| at(claims.get(&path[..dot])?.as_object()?, &path[dot + 1..]))
}

/// Returns whether a claim is this text, or a list that holds it. Numbers and truth values are compared by their JSON.
pub(super) fn has(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| is(value, wanted)),
        value => is(value, wanted),
    }
}

fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Number(_) | Value::Bool(_) => wanted.parse::<Value>().is_ok_and(|wanted| wanted == *value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_to_a_claim() {
        let claims = json!({
            "email": "ada@example.com", "realm_access": { "roles": ["audit"] }, "https://example.com/roles": ["a"],
            "app.x": { "y.z": 1 }, "app": { "other": true }, "flat": "x",
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(at(claims, "email"), Some(&json!("ada@example.com")));
        assert_eq!(at(claims, "realm_access.roles"), Some(&json!(["audit"])));
        assert_eq!(at(claims, "https://example.com/roles"), Some(&json!(["a"])));
        assert_eq!(at(claims, "app.x.y.z"), Some(&json!(1)));
        for absent in ["", ".", "roles", "realm_access.", "realm_access.roles.0", "flat.x", "email.email"] {
            assert_eq!(at(claims, absent), None, "{absent}");
        }
    }

    #[test]
    fn a_claim_has_a_value_only_if_it_is_equal() {
        assert!(has(&json!(["a", "audit"]), "audit") && has(&json!("audit"), "audit"));
        assert!(has(&json!(true), "true") && has(&json!([7]), "7"));
        for (claim, wanted) in [
            (json!("audit-x"), "audit"),
            (json!("AUDIT"), "audit"),
            (json!("a audit"), "audit"),
            (json!([["audit"]]), "audit"),
            (json!({ "audit": 1 }), "audit"),
            (json!(null), "null"),
            (json!([]), ""),
        ] {
            assert!(!has(&claim, wanted), "{claim} {wanted}");
        }
    }
}

//! The rules of `docs/masking.md`, each with an example that is masked and one that is not.

use audit_masking::{DEFAULT_KEYS, Keys, mask_text};

fn masked(text: &str) -> String {
    with_lists(text, DEFAULT_KEYS.to_str().unwrap(), "")
}

fn with_lists(text: &str, masked: &str, unmasked: &str) -> String {
    mask_text(text, &mut Keys::new(masked, unmasked)).map_or_else(|| text.to_owned(), |(text, _)| text)
}

fn check(examples: &[(&str, &str)]) {
    for (given, expected) in examples {
        assert_eq!(masked(given), *expected, "{given}");
    }
}

#[test]
fn keys_are_masked_unless_they_describe() {
    check(&[
        (r#"{"newPassword":"a","password_changed_at":"b"}"#, r#"{"newPassword":"***","password_changed_at":"b"}"#),
        (r#"{"tokens":["a"],"max_tokens":9,"tokenizer":"b"}"#, r#"{"tokens":["***"],"max_tokens":9,"tokenizer":"b"}"#),
        (r#"{"smtp_pass":"a","bypass":"b"}"#, r#"{"smtp_pass":"***","bypass":"b"}"#),
        (r#"{"credential":{"id":"a","type":"b","key":"c"}}"#, r#"{"credential":{"id":"a","type":"b","key":"***"}}"#),
        (r#"{"card":{"number":4},"page":{"number":4}}"#, r#"{"card":{"number":"***"},"page":{"number":4}}"#),
    ]);
}

#[test]
fn places_are_masked() {
    check(&[
        (
            r#"[{"value":"a","name":"Cookie"},{"name":"Host","value":"b"}]"#,
            r#"[{"value":"***","name":"Cookie"},{"name":"Host","value":"b"}]"#,
        ),
        (
            r#"{"h":[["token","a"],["host","b"]],"f":["token","a"]}"#,
            r#"{"h":[["token","***"],["host","b"]],"f":["token","a"]}"#,
        ),
        (r#"{"kind":"Secret","data":{"a":"b"}}"#, r#"{"kind":"Secret","data":{"a":"***"}}"#),
        (r#"{"kind":"ConfigMap","data":{"a":"b"}}"#, r#"{"kind":"ConfigMap","data":{"a":"b"}}"#),
        (r#"{"kty":"oct","k":"a"}"#, r#"{"kty":"oct","k":"***"}"#),
        (r#"["--token","a","--host","b"]"#, r#"["--token","***","--host","b"]"#),
    ]);
}

#[test]
fn assignments_in_strings_are_masked() {
    check(&[
        ("a=1&password=b&c=2", "a=1&password=***&c=2"),
        ("Server=x;Pwd=y;Encrypt=True", "Server=x;Pwd=***;Encrypt=True"),
        ("password: is required", "password: is required"),
        ("password: hunter2", "password: ***"),
        ("x%3Ftoken%3Dabc%26y%3D1", "x%3Ftoken%3D***%26y%3D1"),
        ("Cookie: a=b; c=d\nHost: x", "Cookie: ***\nHost: x"),
        ("<Password t=\"x\">a</Password><User>b</User>", "<Password t=\"x\">***</Password><User>b</User>"),
        ("arn:aws:secretsmanager:eu:1:secret:x", "arn:aws:secretsmanager:eu:1:secret:x"),
    ]);
}

#[test]
fn credentials_in_urls_and_commands_are_masked() {
    check(&[
        ("postgres://u:p@h:1/d", "postgres://u:***@h:1/d"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("curl -u a:b http://h", "curl -u a:*** http://h"),
        ("tool --secret x --flag y", "tool --secret *** --flag y"),
        ("CREATE USER a IDENTIFIED BY 'b'", "CREATE USER a IDENTIFIED BY '***'"),
        ("123456 is your verification code", "*** is your verification code"),
        ("error code is 123456", "error code is 123456"),
    ]);
}

#[test]
fn forms_are_masked() {
    check(&[
        ("4111 1111 1111 1111", "***"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("Basic information", "Basic information"),
        ("$2b$12$EixZaYVK1fsbw1ZfbX3OXe", "***"),
        ("8f2d3c4e-1111-4222-8333-444455556666", "8f2d3c4e-1111-4222-8333-444455556666"),
    ]);
}

#[test]
fn lists_decide() {
    let text = r#"{"iban":"a","password":"b","sub":{"password":"c"},"url":"x?password=d"}"#;
    assert_eq!(with_lists(text, "iban", ""), text.replace("\"a\"", "\"***\""));
    assert_eq!(with_lists(text, "*password*", "sub, iban"), text.replace("\"b\"", "\"***\"").replace("=d", "=***"));
    assert_eq!(with_lists(r#"{"employee_id":7}"#, "employee_id", ""), r#"{"employee_id":"***"}"#);
}

/// A text that ends in the middle of anything has no effect on the rest, and causes no panic.
#[test]
fn any_part_of_a_text_is_read() {
    let text = "é{\"password\":\"ü\\\"x\",\"a\":[1,{\"name\":\"token\",\"value\":\"%E2%82%AC%3D\"}]} https://ü:é@h/?sig=%C3 \
                -----BEGIN PRIVATE KEY----- <key>pin</key><s>é</s> Bearer é1234567890 -u é:'ü s:8:\"password\";s:3:\"é\" €=€;pwd=€";
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    for start in places.iter().step_by(5) {
        for end in places.iter().filter(|end| *end >= start) {
            masked(&text[*start..*end]);
        }
    }
    assert!(masked(text).contains("***"));
}

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
        (r#"{"next_page_token":"a","refresh_token":"b"}"#, r#"{"next_page_token":"a","refresh_token":"***"}"#),
        (r#"{"counts":{"secret":4},"secret":5}"#, r#"{"counts":{"secret":4},"secret":"***"}"#),
        (r#"{"passwords":4,"password":4}"#, r#"{"passwords":4,"password":"***"}"#),
        (r#"{"tokens":"4,096"}"#, r#"{"tokens":"4,096"}"#),
        (r#"{"license":{"key":"gpl-3.0"}}"#, r#"{"license":{"key":"gpl-3.0"}}"#),
        (r#"{"license":{"key":"ABCD-1234"}}"#, r#"{"license":{"key":"***"}}"#),
        (r#"{"kennwort_neu":"a","Passwort-Richtlinie":"b"}"#, r#"{"kennwort_neu":"***","Passwort-Richtlinie":"b"}"#),
        (
            r#"{"security_questions":[{"answer":"a"}],"answer":"b"}"#,
            r#"{"security_questions":[{"answer":"***"}],"answer":"b"}"#,
        ),
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
        (r#"["mysql","-u","root","-ppw1","shop"]"#, r#"["mysql","-u","root","-p***","shop"]"#),
        (r#"["sshpass","-p","a","ssh"]"#, r#"["sshpass","-p","***","ssh"]"#),
        (r#"["ssh","-p","22","host"]"#, r#"["ssh","-p","22","host"]"#),
        (
            r#"{"headerName":"Cookie","headerValue":"a","userName":"b"}"#,
            r#"{"headerName":"Cookie","headerValue":"***","userName":"b"}"#,
        ),
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
        ("token:software:totp", "token:software:totp"),
        ("secrets:read", "secrets:read"),
        ("Unseal Key 1: abc", "Unseal Key 1: ***"),
        ("Line 1: abc", "Line 1: abc"),
        ("API keys: 14 active", "API keys: 14 active"),
        ("password = b'x', host = b'y'", "password = b'***', host = b'y'"),
        ("password = \"a\" -> \"b\"", "password = \"***\" -> \"***\""),
        (
            "- name: TOKEN\n  value: x1\n- name: MODE\n  value: b",
            "- name: TOKEN\n  value: ***\n- name: MODE\n  value: b",
        ),
        ("db:5432:shop:ann:pw", "db:5432:shop:ann:***"),
        ("10:20:30:40:50", "10:20:30:40:50"),
        ("WIFI:T:WPA;S:Office;P:a;;", "WIFI:T:WPA;S:Office;P:***;;"),
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
        ("ALTER USER a PASSWORD E'b'", "ALTER USER a PASSWORD E'***'"),
        (
            "INSERT INTO u (name, password) VALUES ('a, b', 'c'), (lower('d'), 'e')",
            "INSERT INTO u (name, password) VALUES ('a, b', '***'), (lower('d'), '***')",
        ),
        ("tool -storepass x -file y", "tool -storepass *** -file y"),
        ("xfreerdp /p:x1 /v:b", "xfreerdp /p:*** /v:b"),
        ("msbuild /p:Configuration=Release", "msbuild /p:Configuration=Release"),
        ("net use Z: //a/b /user:c d", "net use Z: //a/b /user:c ***"),
        ("echo 'a' | docker login --password-stdin h", "echo '***' | docker login --password-stdin h"),
        ("echo a:b | sudo chpasswd --encrypted", "echo a:*** | sudo chpasswd --encrypted"),
        ("echo 'a' | grep b", "echo 'a' | grep b"),
        ("aws configure set aws_secret_access_key a1b2", "aws configure set aws_secret_access_key ***"),
        ("aws configure set region eu-west-1", "aws configure set region eu-west-1"),
        ("machine a login b password c", "machine a login b password ***"),
        ("nats://abc@h:4222", "nats://***@h:4222"),
        ("https://c.example/a/private-0123456789abcdef/b.ics", "https://c.example/a/private-***/b.ics"),
        ("Use 830114 as your login code", "Use *** as your login code"),
        ("Votre code de vérification est 559102", "Votre code de vérification est ***"),
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
        ("a|$2b$12$EixZaYVK1fsbw1ZfbX3OXe|b", "a|***|b"),
        ("acme_live_a1B2c3D4e5F6g7H8i9J0", "***"),
        ("pk_live_a1B2c3D4e5F6g7H8i9J0", "pk_live_a1B2c3D4e5F6g7H8i9J0"),
        ("price_a1B2c3D4e5F6g7H8i9J0", "price_a1B2c3D4e5F6g7H8i9J0"),
        // {"password":"a"} and {"id":42}
        ("eyJwYXNzd29yZCI6ImEifQ==", "***"),
        ("x=eyJwYXNzd29yZCI6ImEifQ", "x=***"),
        ("eyJpZCI6NDJ9eyJpZCI6NDJ9", "eyJpZCI6NDJ9eyJpZCI6NDJ9"),
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

#[test]
fn a_secret_is_masked_wherever_it_stands() {
    check(&[
        (r#"{"otp_code":"66318","code":"66318","n":"66318a"}"#, r#"{"otp_code":"***","code":"***","n":"66318a"}"#),
        // It is too short, or a word of a language.
        (r#"{"pin":"1234","year":"1234"}"#, r#"{"pin":"***","year":"1234"}"#),
        (r#"{"password":"summer","season":"summer"}"#, r#"{"password":"***","season":"summer"}"#),
        ("newPasswd=Tuch!18&confirm=Tuch!18&ui=Tuch!185", "newPasswd=***&confirm=***&ui=Tuch!185"),
        (r#"{"pin_code":"560038","city":"Pune"}"#, r#"{"pin_code":"560038","city":"Pune"}"#),
        (r#"{"pin_code":"560038","user":"ada"}"#, r#"{"pin_code":"***","user":"ada"}"#),
    ]);
}

#[test]
fn sentences_name_their_secret() {
    check(&[
        ("The temporary password you sent is Tmp-88k, thanks", "The temporary password you sent is ***, thanks"),
        ("The password for ticket 8812 is not known", "The password for ticket 8812 is not known"),
        ("Your one-time passcode is 550 184 and expires", "Your one-time passcode is *** and expires"),
        ("Mein altes Passwort war Eiche1987, jetzt", "Mein altes Passwort war ***, jetzt"),
        ("Voici mon mot de passe : Phare2024, le bouton", "Voici mon mot de passe : ***, le bouton"),
        ("Root creds as asked: root / Gu4va-river", "Root creds as asked: root / ***"),
        ("the path web / v2.0.1-rc1", "the path web / v2.0.1-rc1"),
        ("user/pass = front / Lobby24!", "user/pass = front / ***"),
        ("SSID Branch-7, key pelikan77", "SSID Branch-7, key ***"),
        ("the primary key column77", "the primary key column77"),
        ("Body=Your+login+code+is+482913&To=1", "Body=Your+login+code+is+***&To=1"),
        ("ro/Zeder77@//ora1.example.com:1521/X", "ro/***@//ora1.example.com:1521/X"),
        ("curl -u F6rKjPoXeeWNVVfvI13E:X -X PUT", "curl -u *** -X PUT"),
        ("smbclient //nas/scan -U 'scan%Kopie.33' -c ls", "smbclient //nas/scan -U 'scan%***' -c ls"),
    ]);
}

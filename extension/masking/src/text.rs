//! Secrets inside a string: assignments, URLs, headers, command lines, and values that are known by their form.

mod phrases;
mod signs;
mod statements;

pub use self::phrases::takes_password;

use std::ops::Range;

use self::signs::Signs;
use crate::MASK;
use crate::keys::{Keys, Verdict};
use crate::opaque::{decode, is_basic, is_date, is_opaque, is_token_byte};
use crate::{token, tree, url};

/// The maximum number of JSON texts inside each other. A deeper one is read as text.
const JSON_DEPTH: u32 = 4;

/// The maximum length of a name in a text, in bytes.
const NAME_BYTES: usize = 100;

/// The distance within which two parts of a rule must stand, in bytes.
const NEAR: usize = 300;

/// The number of bytes of a value that decide whether it looks like a secret.
const DECIDING_BYTES: usize = 256;

/// The number of secrets of a string that are looked for again.
const REPEATED: usize = 20;

/// The authentication schemes of HTTP, with the space behind each.
const SCHEMES: &[&str] = &[
    "bearer ",
    "basic ",
    "token ",
    "apikey ",
    "digest ",
    "negotiate ",
    "ntlm ",
    "hawk ",
    "oauth ",
    "aws4-hmac-sha256 ",
    "sharedkey ",
    "genie ",
    "splunk ",
    "bot ",
    "key ",
    "jwt ",
    "dpop ",
    "snowflake ",
    "client ",
];

/// Words that stand in the place of a secret, but say something about it.
const REMARKS: &[&str] = &[
    "a",
    "accepted",
    "all",
    "an",
    "and",
    "any",
    "bad",
    "blank",
    "bool",
    "boolean",
    "cannot",
    "changed",
    "created",
    "deleted",
    "denied",
    "disabled",
    "does",
    "empty",
    "enabled",
    "expired",
    "failed",
    "false",
    "for",
    "has",
    "hidden",
    "incorrect",
    "int",
    "integer",
    "invalid",
    "is",
    "malformed",
    "masked",
    "may",
    "mismatch",
    "missing",
    "must",
    "needs",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "number",
    "ok",
    "optional",
    "or",
    "please",
    "redacted",
    "rejected",
    "required",
    "reset",
    "revoked",
    "rotated",
    "set",
    "should",
    "string",
    "success",
    "text",
    "the",
    "too",
    "true",
    "undefined",
    "unknown",
    "unset",
    "updated",
    // Scopes, as in `secrets:read`.
    "create",
    "delete",
    "list",
    "manage",
    "read",
    "revoke",
    "rotate",
    "update",
    "view",
    "write",
    "valid",
    "was",
    "wrong",
    "yes",
    "your",
    "missing.",
    "invalid.",
    "required.",
    "incorrect.",
    "expired.",
    "unauthorized",
    "forbidden",
    "granted",
    "pending",
    "approved",
    "declined",
    "password",
    "token",
    "secret",
];

/// Masks the secrets in a string. Returns the new string and the number of secrets. Returns None if there is none.
pub fn mask(text: &str, keys: &mut Keys, depth: u32) -> Option<(String, u32)> {
    let trimmed = text.trim_start();
    if depth < JSON_DEPTH
        && trimmed.starts_with(['{', '['])
        && let Some(masked) = tree::mask_json(text, keys, depth)
    {
        return masked;
    }
    let signs = Signs::of(text.as_bytes())?;
    let mut found = Vec::new();
    if signs.has_hyphen {
        token::find_pem(text, &mut found);
    }
    if signs.has_word {
        let mut encoded = Vec::new();
        token::find(text, &mut found, &mut encoded);
        if depth < JSON_DEPTH {
            found.extend(encoded.into_iter().filter(|word| has_secret(&text[word.clone()], keys, depth)));
        }
        token::find_sessions(text, &mut found);
    }
    if signs.has_colon {
        url::find(text, &mut found);
    }
    let has_command = signs.has_space && schemes(text, &mut found);

    if signs.digits >= token::CARD_DIGITS {
        token::find_cards(text, &mut found);
    }
    let mut scanner = Scanner { text, bytes: text.as_bytes(), keys, found: &mut found, line_end: 0 };
    if signs.has_colon || signs.has_equals || signs.has_percent {
        scanner.assignments();
    }
    if signs.has_angle {
        scanner.elements();
    }
    if signs.has_colon {
        scanner.network();
    }
    if signs.has_hyphen && signs.has_space {
        scanner.options();
    }
    if signs.has_quote {
        scanner.quoted();
        scanner.rows();
    }
    if (signs.has_space || signs.has_equals) && signs.digits > 0 {
        scanner.sentences(!signs.has_space);
    }
    if has_command {
        scanner.logins();
    }
    if signs.has_colon && !signs.has_space && signs.digits > 0 {
        scanner.pgpass();
    }
    again(text, &mut found);
    replace(text, found)
}

/// Adds the other places of the secrets that were found, as in `new=abc123&confirm=abc123`.
fn again(text: &str, found: &mut Vec<Range<usize>>) {
    for at in 0..found.len().min(REPEATED) {
        let secret = &text[found[at].clone()];
        if !is_distinct(secret) {
            continue;
        }
        let is_part = |at: Option<&u8>| at.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80);
        for start in memchr::memmem::find_iter(text.as_bytes(), secret) {
            let end = start + secret.len();
            let before = start.checked_sub(1).and_then(|before| text.as_bytes().get(before));
            if !is_part(before) && !is_part(text.as_bytes().get(end)) {
                found.push(start..end);
            }
        }
    }
}

/// Returns whether a secret is so distinct that the same text elsewhere is the same secret.
pub fn is_distinct(secret: &str) -> bool {
    (5..=DECIDING_BYTES).contains(&secret.len()) && is_odd(secret) && !is_date(secret)
}

/// Returns whether a word is base64 of JSON that has a secret.
fn has_secret(word: &str, keys: &mut Keys, depth: u32) -> bool {
    let json = decode(word).and_then(|bytes| String::from_utf8(bytes).ok());
    json.is_some_and(|json| matches!(tree::mask_json(&json, keys, depth), Some(Some(_))))
}

/// Replaces the ranges by the mask. Ranges that overlap count as one.
fn replace(text: &str, mut found: Vec<Range<usize>>) -> Option<(String, u32)> {
    if found.is_empty() {
        return None;
    }
    found.retain(|range| !text[range.clone()].bytes().all(|byte| byte == b'*'));
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut result = String::with_capacity(text.len());
    let mut secrets = 0;
    let mut copied = 0;
    for range in found {
        if range.start >= copied && (range.start > copied || secrets == 0) {
            result.push_str(&text[copied..range.start]);
            result.push_str(MASK);
            secrets += 1;
        }
        copied = copied.max(range.end);
    }
    result.push_str(&text[copied..]);
    (secrets > 0).then_some((result, secrets))
}

/// Finds the credentials behind the name of an authentication scheme, as in `Bearer abc`. Returns whether a word ends
/// as `password`, `echo`, `use`, `config` or `configure` do, which [`Scanner::logins`] looks for.
fn schemes(text: &str, found: &mut Vec<Range<usize>>) -> bool {
    let bytes = text.as_bytes();
    let mut has_command = false;
    for at in memchr::memchr_iter(b' ', bytes) {
        let Some([before_last, last]) = at.checked_sub(2).map(|start| [bytes[start] | 0x20, bytes[at - 1] | 0x20])
        else {
            continue;
        };
        match &[before_last, last] {
            b"er" | b"ey" | b"ic" | b"en" => {}
            b"rd" | b"ho" | b"se" | b"ig" => {
                has_command = true;
                continue;
            }
            b"re" => {
                has_command |= bytes[..at].ends_with(b"ure");
                continue;
            }
            _ => continue,
        }
        let ends_with = |word| ends_with_word(&text[..at], word);
        let (is_key, is_login) = (ends_with("bearer") || ends_with("apikey"), ends_with("basic"));
        if !is_key && !is_login && !ends_with("token") {
            continue;
        }
        let length = bytes[at + 1..].iter().position(|byte| !is_token_byte(*byte)).unwrap_or(bytes.len() - at - 1);
        let word = &text[at + 1..at + 1 + length];
        let is_secret = word.len() >= 8
            && if is_key {
                word.len() >= 20 || word.bytes().any(|byte| byte.is_ascii_digit())
            } else if is_login {
                is_basic(word)
            } else {
                is_opaque(word)
            };
        if is_secret && !is_date(word) {
            found.push(at + 1..at + 1 + length);
        }
    }
    has_command
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(start) = bytes.len().checked_sub(word.len()) else { return false };
    bytes[start..].eq_ignore_ascii_case(word.as_bytes()) && (start == 0 || !bytes[start - 1].is_ascii_alphanumeric())
}

struct Scanner<'k, 'a> {
    text: &'a str,
    bytes: &'a [u8],
    keys: &'k mut Keys,
    found: &'k mut Vec<Range<usize>>,
    /// The end of the line that was looked for last.
    line_end: usize,
}

/// The characters between a name and its value.
#[derive(Clone, Copy, PartialEq)]
enum Separator {
    Equals,
    Colon,
}

impl Scanner<'_, '_> {
    /// Finds the values of `name=value`, `name: value`, `"name": "value"`, `name => value` and their percent-encoding.
    fn assignments(&mut self) {
        let mut at = 0;
        while let Some(next) = memchr::memchr3(b'=', b':', b'%', &self.bytes[at..]) {
            at += next;
            let (separator, end) = match self.bytes[at] {
                b'=' => (Separator::Equals, at + 1),
                b':' => (Separator::Colon, at + 1),
                b'%' => match self.escape(at) {
                    Some((b'=', end)) => (Separator::Equals, end),
                    Some((b':', end)) => (Separator::Colon, end),
                    _ => {
                        at += 1;
                        continue;
                    }
                },
                _ => {
                    at += 1;
                    continue;
                }
            };
            let is_encoded = end > at + 1;
            at = match self.assignment(at, end, separator, is_encoded) {
                Some(value) => {
                    let mut next = value.end.max(end);
                    // `"old" -> "new"`
                    if let [quote @ (b'"' | b'\''), b' ', b'-' | b'=', b'>', b' ', again, ..] = &self.bytes[next..]
                        && quote == again
                    {
                        let start = next + 6;
                        next = self.closing(start, *quote, 0);
                        self.found.push(start..next);
                    }
                    self.found.push(value);
                    next
                }
                None => end,
            };
        }
    }

    /// Reads a percent-encoded character, which may be encoded twice. Returns it and its end.
    fn escape(&self, at: usize) -> Option<(u8, usize)> {
        let mut digits = at + 1;
        while self.bytes.get(digits..digits + 2) == Some(b"25") {
            digits += 2;
        }
        let text = self.text.get(digits..digits + 2)?;
        Some((u8::from_str_radix(text, 16).ok()?, digits + 2))
    }

    fn assignment(&mut self, at: usize, end: usize, separator: Separator, is_encoded: bool) -> Option<Range<usize>> {
        let mut value = end;
        match (separator, self.bytes.get(end)) {
            (Separator::Equals, Some(b'>')) if !is_encoded => value += 1,
            (Separator::Equals, Some(b'=')) if at > 0 && self.bytes[at - 1] == b'=' => return None,
            (Separator::Equals, Some(b'=' | b'~')) if self.bytes[end..].len() > 1 => value += 1,
            (Separator::Colon, Some(b'/')) if self.bytes.get(end + 1) == Some(&b'/') => return None,
            (Separator::Colon, Some(b'=' | b':')) => return None,
            (_, None) => return None,
            _ => {}
        }
        let name = self.name_before(at)?;
        // The password of a URL is found by its own rule. The parts of a path or of an ARN have no value.
        let before = name.start.checked_sub(1).map(|at| self.bytes[at]);
        let is_option = before == Some(b'/') && matches!(self.bytes[..name.start - 1].last(), None | Some(b' '));
        let is_part = matches!(before, Some(b':' | b'/' | b'\\'))
            && !is_option
            && self.bytes.get(end).is_some_and(|byte| *byte != b' ');
        if separator == Separator::Colon && is_part {
            return None;
        }
        let verdict = self.verdict_of(&name);
        let is_plural = self.bytes[name.clone()].ends_with(b"s");
        if verdict.has(Verdict::KEPT) {
            return None;
        }
        let is_in_query = separator == Separator::Equals
            && (is_encoded
                || matches!(name.start.checked_sub(1).map(|at| self.bytes[at]), Some(b'?' | b'&' | b'#' | b';')));
        // `xfreerdp /p:abc`, but not `msbuild /p:name=value`
        let is_short = || is_option && &self.text[name.clone()] == "p" && separator == Separator::Colon;
        let is_secret =
            verdict.has(Verdict::SECRET) || is_short() && !self.text[end..self.word_end(end, separator)].contains('=');
        let is_weak = verdict.has(Verdict::WEAK) || is_in_query && verdict.has(Verdict::WEAK_IN_QUERY);
        if !is_secret && !is_weak {
            let is_name = ["name", "key", "id"].contains(&&self.text[name]);
            return match separator {
                _ if !is_name => None,
                Separator::Equals => self.value_of_attribute(value),
                Separator::Colon => self.value_of_item(value),
            };
        }
        if !is_secret {
            // Decides on the first bytes, because the value may hold many more assignments.
            let start = &self.bytes[value..self.bytes.len().min(value + DECIDING_BYTES)];
            let start = &start[start.iter().take_while(|byte| matches!(byte, b' ' | b'"' | b'\'' | b'\\')).count()..];
            let start = &start[..start.iter().take_while(|byte| is_token_byte(**byte)).count()];
            // A token byte is ASCII.
            let start = std::str::from_utf8(start).unwrap_or_default();
            if !is_opaque(start) && !is_basic(start) {
                return None;
            }
        }
        let mut found = self.value_at(value, separator, is_encoded, verdict)?;
        if before == Some(b'/') && self.follows_login(name.start - 1) {
            found = self.second_part(found);
        }
        let text = &self.text[found.clone()];
        // `API keys: 14 active`
        let counts = (verdict.has(Verdict::COUNTS) || is_plural) && text.bytes().all(|byte| byte.is_ascii_digit());
        (!counts && !text.is_empty()).then_some(found)
    }

    /// Returns whether the word before the slash is that of a login, as in `user/password = ada / abc`.
    fn follows_login(&self, slash: usize) -> bool {
        const LOGINS: [&str; 6] = ["user", "username", "login", "email", "benutzer", "account"];
        LOGINS.iter().any(|login| ends_with_word(&self.text[..slash], login))
    }

    /// Returns the part of a value behind a slash, or the whole value if there is none.
    fn second_part(&self, value: Range<usize>) -> Range<usize> {
        if let Some(slash) = self.text[value.clone()].find('/') {
            return value.start + slash + 1..value.end;
        }
        let rest = &self.text[value.end..];
        let Some(part) = rest.trim_start_matches(' ').strip_prefix('/') else { return value };
        let start = self.text.len() - part.trim_start_matches(' ').len();
        start..self.word_end(start, Separator::Colon)
    }

    /// Returns the value that an attribute names: `name="password" value="…"`, `name="password">…<`, or the part of a form
    /// after `name="password"`.
    fn value_of_attribute(&mut self, at: usize) -> Option<Range<usize>> {
        let quote = self.bytes.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\''))?;
        let close = at + 1 + memchr::memchr(quote, &self.bytes[at + 1..])?;
        let name = &self.text[at + 1..close];
        if name.len() > NAME_BYTES || !self.keys.verdict(name).has(Verdict::SECRET) {
            return None;
        }
        let rest = &self.bytes[close + 1..];
        let near = &rest[..rest.len().min(NEAR)];
        let head = memchr::memchr2(b'>', b'<', near).unwrap_or(near.len());
        let position = |text: &[u8], word: &str| memchr::memmem::find(text, word.as_bytes()).map(|at| at + word.len());
        let value = ["value=", "content="].iter().find_map(|word| position(&near[..head], word));
        if let Some(value) = value {
            return self.value_at(close + 1 + value, Separator::Equals, false, Verdict::default());
        }
        if near.get(head) == Some(&b'>') {
            let text = &rest[head + 1..];
            let end = memchr::memchr(b'<', text).unwrap_or(text.len());
            return (end > 0).then_some(close + 2 + head..close + 2 + head + end);
        }
        let body = ["\r\n\r\n", "\n\n"].iter().find_map(|gap| position(near, gap))?;
        let end = memchr::memchr2(b'\r', b'\n', &rest[body..]).map_or(rest.len(), |end| body + end);
        (end > body).then_some(close + 1 + body..close + 1 + end)
    }

    /// Returns the value that an item of YAML names: `- name: TOKEN`, with `value: …` in the next line.
    fn value_of_item(&mut self, at: usize) -> Option<Range<usize>> {
        let near = &self.bytes[at..self.bytes.len().min(at + NEAR)];
        let line = memchr::memchr(b'\n', near)?;
        let name = self.text[at..at + line].trim().trim_matches(['"', '\'']);
        if name.is_empty() || name.len() > NAME_BYTES || !self.keys.verdict(name).has(Verdict::SECRET) {
            return None;
        }
        let blank = near[line..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let value = at + line + blank;
        let key = ["value:", "val:", "content:"].iter().find(|key| self.bytes[value..].starts_with(key.as_bytes()))?;
        self.value_at(value + key.len(), Separator::Equals, false, Verdict::default())
    }

    fn verdict_of(&mut self, name: &Range<usize>) -> Verdict {
        let text = &self.text[name.clone()];
        let decoded;
        let text = if text.contains('%') {
            decoded = text.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]");
            &decoded
        } else {
            text
        };
        let alone = self.keys.verdict(text);
        if alone.has(Verdict::SECRET) || alone.has(Verdict::KEPT) {
            return alone;
        }
        // `card number: …`, `-p ssl.key=…`
        let before = self.text[..name.start].trim_end_matches(' ');
        let is_near = name.start - before.len() == 1;
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || "_-".contains(c)))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        // `mot de passe : …`
        if text.eq_ignore_ascii_case("passe") && ends_with_word(before, "mot de") {
            return self.keys.verdict("mot_de_passe");
        }
        // `Unseal Key 1: …`
        if text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let near = &before[before.ceil_char_boundary(before.len().saturating_sub(NAME_BYTES))..];
            let near = near.rsplit(['\n', ',', ';', '"']).next().unwrap_or(near);
            let start = near.rmatch_indices(' ').nth(1).map_or(0, |(at, _)| at + 1);
            return alone | self.keys.verdict(&near[start..]);
        }
        if is_near && start < before.len() && before.len() - start <= NAME_BYTES {
            return alone | self.keys.verdict_in(Some(&before[start..]), text);
        }
        alone
    }

    /// Returns the name that ends before `at`. Spaces and a quotation mark may stand between.
    fn name_before(&self, at: usize) -> Option<Range<usize>> {
        let mut end = at;
        while end > 0 && self.bytes[end - 1] == b' ' && at - end < 20 {
            end -= 1;
        }
        // `--password ==`, `password !=`, `password :=`
        while end > 0 && matches!(self.bytes[end - 1], b':' | b'=' | b'+' | b'?') && at - end < 20 {
            end -= 1;
        }
        while end > 0 && self.bytes[end - 1] == b' ' && at - end < 20 {
            end -= 1;
        }
        let quote = end.checked_sub(1).map(|at| self.bytes[at]).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
        if let Some(quote) = quote {
            end -= 1;
            while end > 0 && self.bytes[end - 1] == b'\\' {
                end -= 1;
            }
            let start = self.bytes[..end].iter().rev().take(NAME_BYTES).position(|byte| *byte == quote)?;
            return (start > 0).then_some(end - start..end);
        }
        // `name%22%3A`
        if let Some(at) = end.checked_sub(3)
            && self.bytes[at] == b'%'
            && matches!(self.text.get(at + 1..end), Some("22" | "27" | "20"))
        {
            end = at;
        }
        let mut start = end;
        while start > 0 && end - start < NAME_BYTES {
            let byte = self.bytes[start - 1];
            if byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'[' | b']' | b'@')
                || byte >= 0x80
            {
                start -= 1;
            } else {
                break;
            }
        }
        // The name follows an encoded character, as in `%3Ftoken`. Encoded brackets belong to it.
        if start > 0 && self.bytes[start - 1] == b'%' {
            let mut digits = start;
            while self.bytes.get(digits..digits + 2) == Some(b"25") {
                digits += 2;
            }
            let is_bracket = matches!(self.text.get(digits..digits + 2), Some("5B" | "5b" | "5D" | "5d"));
            if is_bracket {
                let is_end = |byte: &u8| matches!(byte, b'&' | b'?' | b' ' | b'"' | b'\n');
                let most = self.bytes[..start].iter().rev().take(NAME_BYTES);
                start -= most.clone().position(is_end).unwrap_or(most.len());
            } else {
                start = (digits + 2).min(end);
            }
        }
        while start < end && !self.text.is_char_boundary(start) {
            start += 1;
        }
        (start < end).then_some(start..end)
    }

    /// Returns the value that begins behind the separator. Returns None if it cannot be a secret.
    fn value_at(
        &mut self,
        at: usize,
        separator: Separator,
        is_encoded: bool,
        verdict: Verdict,
    ) -> Option<Range<usize>> {
        let mut start = at;
        while self.bytes.get(start).is_some_and(|byte| *byte == b' ' || *byte == b'\t') {
            start += 1;
        }
        if is_encoded {
            return self.encoded_value(start);
        }
        let escapes = self.bytes[start..].iter().take_while(|byte| **byte == b'\\').count();
        // `N'…'` of SQL, `b'…'` of Python
        let letters = usize::from(matches!(
            self.bytes[start..],
            [b'N' | b'E' | b'U' | b'b' | b'r' | b'u' | b'@', b'\'' | b'"', ..]
        ));
        start += letters;
        if let Some(quote @ (b'"' | b'\'' | b'`')) = self.bytes.get(start + escapes).copied() {
            start += escapes + 1;
            return Some(start..self.closing(start, quote, escapes));
        }
        if self.text[start..].starts_with("&quot;") {
            start += "&quot;".len();
            let end = self.text[start..].find("&quot;").map_or(self.text.len(), |end| start + end);
            return Some(start..end);
        }
        let line = self.line_end(start);
        if verdict.has(Verdict::HEADER) && (separator == Separator::Colon || self.bytes[..at].ends_with(b"ookie=")) {
            return self.header_value(start..line);
        }
        let end = self.word_end(start, separator);
        let word = &self.text[start..end];
        if separator == Separator::Equals && word.starts_with('{') && !word.starts_with("{{") {
            // ODBC and JDBC put values with special characters into braces.
            let close = self.text[start..].find('}').map(|close| start + close)?;
            let inner = &self.text[start + 1..close];
            return (!inner.contains([':', '"', '='])).then_some(start + 1..close);
        }
        if word.is_empty() || word.starts_with(['{', '[', '<', '$', '(']) && !word.starts_with("$2") {
            // A structure, a placeholder or a variable.
            return None;
        }
        if is_remark(word) {
            return None;
        }
        // `token:software:totp` is a list of words, not a name and its value.
        let is_list = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b':' | b'_' | b'-');
        if separator == Separator::Colon && start == at && word.contains(':') && word.bytes().all(is_list) {
            return None;
        }
        if let Some(scheme) = SCHEMES.iter().find(|scheme| starts_with(&self.text[start..], scheme)) {
            return Some(start + scheme.len()..line);
        }
        if separator == Separator::Colon && start > at && !is_last(&self.text[end..]) && !is_odd(word) {
            return None;
        }
        Some(start..end)
    }

    /// Returns the end of the line, or of the quotation around it.
    fn line_end(&mut self, start: usize) -> usize {
        if self.line_end < start || self.line_end == 0 {
            let rest = &self.bytes[start..];
            // The quoted parameters of a header belong to it.
            let mut quote = None;
            let end = rest.iter().enumerate().position(|(at, byte)| match byte {
                b'\n' | b'\r' => true,
                b'"' | b'\'' if quote == Some(*byte) => {
                    quote = None;
                    false
                }
                b'"' | b'\'' if at > 0 && rest[at - 1] == b'=' => {
                    quote = Some(*byte);
                    false
                }
                b'"' | b'\'' => quote.is_none(),
                _ => false,
            });
            self.line_end = end.map_or(self.bytes.len(), |end| start + end);
        }
        self.line_end
    }

    /// A header is a scheme with credentials, a list of cookies, or a random word.
    fn header_value(&self, line: Range<usize>) -> Option<Range<usize>> {
        let text = self.text[line.clone()].trim_end();
        let end = line.start + text.len();
        let has_scheme = SCHEMES.iter().any(|scheme| starts_with(text, scheme));
        let first = text.split(' ').next().unwrap_or(text);
        (has_scheme || text.contains('=') || is_odd(first)).then_some(line.start..end)
    }

    fn encoded_value(&self, start: usize) -> Option<Range<usize>> {
        let mut start = start;
        if let Some((b'"' | b'\'' | b' ', end)) = self.escape(start).filter(|_| self.bytes.get(start) == Some(&b'%')) {
            start = end;
        }
        let mut end = start;
        while end < self.bytes.len() {
            match self.bytes[end] {
                b'%' => match self.escape(end) {
                    Some((b'&' | b'"' | b'\'' | b';' | b'#' | b' ' | b'\n' | b'\r' | b',', _)) => break,
                    // Padding of base64 is at the end. Otherwise another assignment follows.
                    Some((b'=', next)) if self.bytes.get(next).is_some_and(u8::is_ascii_alphanumeric) => break,
                    Some((_, next)) => end = next,
                    None => end += 1,
                },
                b'&' | b' ' | b'"' | b'\'' | b'\n' | b'\r' | b'<' | b'>' | b';' => break,
                _ => end += 1,
            }
        }
        (end > start).then_some(start..end)
    }

    /// Returns the position of the quotation mark that closes a value. It has as many backslashes as the opening one.
    fn closing(&self, start: usize, quote: u8, escapes: usize) -> usize {
        let mut at = start;
        while at < self.bytes.len() {
            let slashes = self.bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
            match self.bytes.get(at + slashes) {
                Some(byte) if *byte == quote && slashes <= escapes => return at,
                Some(_) if slashes > 0 => at += slashes + usize::from(slashes > escapes),
                Some(_) => at += 1,
                None => break,
            }
        }
        self.bytes.len()
    }

    /// Returns the end of a value without quotation marks.
    fn word_end(&self, start: usize, separator: Separator) -> usize {
        let mut at = start;
        while at < self.bytes.len() {
            let ends = match self.bytes[at] {
                byte if byte.is_ascii_whitespace() => true,
                b'"' | b'\'' | b'`' | b';' | b'<' | b'>' | b'\\' => true,
                b'&' => separator == Separator::Equals || is_assignment(&self.text[at + 1..]),
                b',' => self.bytes.get(at + 1).is_none_or(|byte| *byte == b' ') || is_assignment(&self.text[at + 1..]),
                b'}' | b']' | b')' | b'|' => self.bytes.get(at + 1).is_none_or(|byte| b" ,;})]\n\"'".contains(byte)),
                _ => false,
            };
            if ends {
                break;
            }
            at += 1;
        }
        at
    }

    /// Finds the text of XML elements that have the name of a secret.
    fn elements(&mut self) {
        let mut from = 0;
        while let Some(open) = memchr::memchr(b'<', &self.bytes[from..]).map(|at| from + at) {
            from = open + 1;
            let name = &self.text[from..];
            let length = name.find(|c: char| !(c.is_alphanumeric() || "_-.:".contains(c))).unwrap_or(name.len());
            let name = &name[..length];
            let near = &self.bytes[from..self.bytes.len().min(from + NEAR)];
            let Some(close) = memchr::memchr(b'>', near).map(|at| from + at) else { continue };
            if name.is_empty() || self.bytes[close - 1] == b'/' {
                continue;
            }
            let local = name.rsplit(':').next().unwrap_or(name);
            let is_secret =
                local.eq_ignore_ascii_case("SignatureValue") || self.keys.verdict(local).has(Verdict::SECRET);
            let close = if is_secret { Some(close) } else { self.named_element(local, close) };
            let Some(close) = close else { continue };
            let end = memchr::memchr(b'<', &self.bytes[close..]).map_or(self.bytes.len(), |at| close + at);
            let value = self.text[close + 1..end].trim();
            if !value.is_empty() {
                let start = close + 1 + self.text[close + 1..end].find(value).unwrap_or(0);
                self.found.push(start..start + value.len());
                from = end;
            }
        }
    }

    /// Returns where the text of the next element begins, less one, if the text of this one names a secret, as in
    /// `<key>password</key><string>abc</string>`. `close` is the end of its tag.
    fn named_element(&mut self, element: &str, close: usize) -> Option<usize> {
        if !(element.to_ascii_lowercase().ends_with("key") || element.to_ascii_lowercase().ends_with("name")) {
            return None;
        }
        let near = &self.bytes[close + 1..self.bytes.len().min(close + 1 + NEAR)];
        let name = memchr::memchr(b'<', near)?;
        if !self.keys.verdict(&self.text[close + 1..close + 1 + name]).has(Verdict::SECRET) {
            return None;
        }
        let after = memchr::memchr(b'>', &near[name..])? + name;
        let next = memchr::memchr(b'>', &near[after + 1..])? + after + 1;
        Some(close + 1 + next)
    }
}

fn is_remark(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ',', ';', '!', ')']);
    REMARKS.iter().any(|remark| remark.eq_ignore_ascii_case(word))
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Returns whether a name and an equals sign or colon follow.
fn is_assignment(text: &str) -> bool {
    let text = text.trim_start_matches([' ', '"', '\'']);
    let length =
        text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))).unwrap_or(text.len());
    length > 0 && matches!(text.as_bytes().get(length), Some(b'=' | b':' | b'"'))
}

/// Returns whether the rest of the line or list has no more words.
fn is_last(rest: &str) -> bool {
    let line = rest.trim_start_matches([' ', '\t']);
    line.is_empty() || line.starts_with([',', ';', ')', '}', ']', '|', '\n', '\r']) || is_assignment(line)
}

/// Returns whether the word is none of a language: it has a digit, a sign, or a capital letter in the middle.
fn is_odd(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ',', ';', '!', '?', ')']);
    let has_capital = word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    has_capital || word.chars().any(|c| c.is_ascii_digit() || "!@#$%^&*+=_~/".contains(c))
}

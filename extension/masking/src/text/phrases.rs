//! Secrets that a command line, a statement or a sentence names.

use std::ops::Range;

use super::{NAME_BYTES, NEAR, Scanner, ends_with_word};
use crate::keys::Verdict;
use crate::opaque::{is_date, is_opaque};

impl Scanner<'_, '_> {
    /// Finds the values of options on a command line: `--password abc`, `curl -u user:password`, `mysql -pabc`.
    pub(super) fn options(&mut self) {
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(&self.bytes[from..], b"-").map(|at| from + at) {
            from = at + 1;
            if at > 0 && !matches!(self.bytes[at - 1], b' ' | b'\n' | b'\t' | b'\'' | b'"') {
                continue;
            }
            let rest = &self.text[at..];
            let end = rest.find([' ', '=', '\n', '"', '\'']).unwrap_or(rest.len());
            let (option, after) = (&rest[..end], &rest[end..]);
            let before = &self.bytes[at.saturating_sub(NEAR)..at];
            let value = at + end + (after.len() - after.trim_start().len());
            let value = if matches!(self.bytes.get(value), Some(b'"' | b'\'')) { value + 1 } else { value };
            let length = self.text[value..].find([' ', '\n', '"', '\'']).unwrap_or(self.text.len() - value);
            let word = &self.text[value..value + length];
            let is_spaced = after.starts_with(' ');
            let secret = match option {
                "-u" | "--user" | "-U" | "--proxy-user" if is_spaced && word.contains(':') && !word.contains("//") => {
                    word.split_once(':').map(|(user, _)| {
                        // A token may stand in the place of the user, as in `curl -u TOKEN:x`.
                        if is_opaque(user) {
                            return value..value + length;
                        }
                        let start = value + user.len() + 1;
                        match self.bytes.get(start) {
                            Some(quote @ (b'"' | b'\'')) => start + 1..self.closing(start + 1, *quote, 0),
                            _ => start..value + length,
                        }
                    })
                }
                "-U" if is_spaced && names(before, "smbclient") => {
                    word.split_once('%').map(|(user, _)| value + user.len() + 1..value + length)
                }
                "-b" if is_spaced && names(before, "curl") && word.contains('=') => Some(value..value + length),
                "-a" if is_spaced && names(before, "http ") => {
                    word.split_once(':').map(|(user, _)| value + user.len() + 1..value + length)
                }
                _ if is_spaced && takes_password(option, |program| names(before, program)) => {
                    Some(value..value + length)
                }
                _ if option.starts_with("-p")
                    && option.len() > 3
                    && names(before, "mysql")
                    && !option.contains("port") =>
                {
                    Some(at + 2..at + end)
                }
                // `--password abc`, `-storepass abc`, `-Token abc`
                _ if (option.starts_with("--") || option.len() > 4) && is_spaced && is_argument(word) => {
                    let is_secret = self.keys.verdict(option).has(Verdict::SECRET);
                    is_secret.then_some(value..value + length)
                }
                _ => None,
            };
            if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
                from = secret.end;
                self.found.push(secret);
            }
        }
    }

    /// Finds the values in quotation marks of SQL and of calls: `PASSWORD 'abc'`, `define('DB_PASSWORD', 'abc')`.
    pub(super) fn quoted(&mut self) {
        let quotes: Vec<usize> = memchr::memchr2_iter(b'\'', b'"', self.bytes).collect();
        for at in quotes {
            let before = self.text[..at].trim_end();
            let called = before.strip_suffix('(').unwrap_or(before);
            // `PASSWORD E'…'`
            let called =
                called.strip_suffix(['N', 'E']).filter(|text| text.ends_with(' ')).map_or(called, str::trim_end);
            let is_statement = STATEMENTS.iter().any(|statement| ends_with_word(called, statement));
            // PHP writes `s:8:"password";s:3:"abc";`.
            let before = match before.strip_suffix(':').map(|size| size.trim_end_matches(|c: char| c.is_ascii_digit()))
            {
                Some(size) if size.ends_with("\";s:") => &before[..size.len() - 2],
                _ => before,
            };
            let is_argument = before.ends_with([',', ';']) && before[..before.len() - 1].ends_with(['\'', '"']) && {
                let name = &before[..before.len() - 2];
                let quote = before.as_bytes()[before.len() - 2];
                let near = name.as_bytes().iter().rev().take(NAME_BYTES).position(|byte| *byte == quote);
                near.map(|at| name.len() - 1 - at).is_some_and(|start| {
                    name[..start].ends_with(['(', ':']) && self.keys.verdict(&name[start + 1..]).has(Verdict::SECRET)
                })
            };
            if is_statement && called.len() < at || is_argument {
                let end = self.closing(at + 1, self.bytes[at], 0);
                if end > at + 1 {
                    self.found.push(at + 1..end);
                }
            }
        }
    }

    /// Finds the secrets of sentences: `the password is abc1`, `PIN 4821`, `123456 is your verification code`. In a form,
    /// plus signs stand for spaces.
    pub(super) fn sentences(&mut self, is_form: bool) {
        let mut at = 0;
        while let Some(digit) = digit(&self.bytes[at..]).map(|digit| at + digit) {
            let is_space = |byte: &u8| is_blank(*byte, is_form);
            let start = self.bytes[at..digit].iter().rposition(is_space).map_or(at, |space| at + space + 1);
            let mut end = self.bytes[digit..].iter().position(is_space).map_or(self.bytes.len(), |space| digit + space);
            let is_grouped = is_code_group(&self.bytes[start..end])
                && self.bytes.get(end + 1..end + 4).is_some_and(is_code_group)
                && self.bytes.get(end + 4).is_none_or(|byte| !byte.is_ascii_alphanumeric());
            if is_grouped {
                end += 4;
            }
            at = end;
            let word = self.text[start..end].trim_end_matches(['.', ',', ';', '!', '?', ')']);
            let is_candidate = (4..=SENTENCE_BYTES).contains(&word.len())
                && !is_date(word)
                && !word.contains(['=', '/', '@', ':'])
                && word.bytes().any(|byte| byte.is_ascii_digit());
            if !is_candidate {
                continue;
            }
            let words = words_near(self.text, start, end, is_form);
            let Some(index) = words.iter().position(|near| near.start == start) else { continue };
            let range = start..end;
            let value = range.start..range.start + word.len();
            let name = |last: usize| words[last.saturating_sub(2)].start..words[last].end;
            let before = index.checked_sub(1).map(|at| self.text[words[at].clone()].to_lowercase());
            let named = match before.as_deref() {
                Some(verb) if index >= 2 && VERBS.contains(&verb) => Some((name(index - 2), true)),
                Some(_) => Some((name(index - 1), false)),
                None => None,
            };
            let is_named = named.is_some_and(|(name, is_said)| self.names_secret(&name, is_said))
                || index.checked_sub(1).is_some_and(|verb| self.is_described(&words, verb))
                || self.ends_credentials(&words[..index], word);
            let after = index + 1 + usize::from(is_grouped);
            let announces =
                words.get(after).is_some_and(|at| matches!(&self.text[at.clone()], "is" | "as" | "ist" | "est" | "es"))
                    && (after + 2..(after + 6).min(words.len())).any(|last| self.names_secret(&name(last), true));
            if is_named || announces {
                self.found.push(value);
            }
        }
    }

    /// Returns whether the one to three words name a secret. Without a verb, the last two must do so.
    fn names_secret(&mut self, name: &Range<usize>, is_said: bool) -> bool {
        let text = self.text[name.clone()].trim_end_matches(['.', ',', ':', '!']);
        let mut ends = text.rmatch_indices(' ').map(|(at, _)| &text[at + 1..]);
        let (last, two) = (ends.next().unwrap_or(text), ends.next().unwrap_or(text));
        let mut is_secret = |text: &str| {
            let verdict = self.keys.verdict(text);
            verdict.has(Verdict::SECRET) && !verdict.has(Verdict::COUNTS)
        };
        if is_said {
            return is_secret(text) || is_secret(two) || is_secret(last);
        }
        const NOUNS: [&str; 9] =
            ["pin", "otp", "passcode", "password", "cvv", "cvc", "passwort", "kennwort", "contraseña"];
        if last.eq_ignore_ascii_case("key") {
            return is_of_network(self.text);
        }
        (NOUNS.iter().any(|noun| noun.eq_ignore_ascii_case(last)) || last.eq_ignore_ascii_case("code") && last != two)
            && is_secret(two)
    }

    /// Returns whether a clause stands between the password and its verb, as in `the password you sent is`.
    fn is_described(&mut self, words: &[Range<usize>], verb: usize) -> bool {
        const BEGINS: [&str; 12] =
            ["you", "we", "i", "he", "she", "they", "that", "which", "for", "für", "pour", "para"];
        let word = |at: usize| self.text[words[at].clone()].to_lowercase();
        VERBS.contains(&word(verb).as_str())
            && (verb.saturating_sub(6)..verb.saturating_sub(1)).any(|noun| {
                let mut is_password = |text: &str| {
                    let is_noun = ["pass", "kennwort", "pin", "contraseña", "senha", "lösenord"];
                    is_noun.iter().any(|noun| text.starts_with(noun)) && self.keys.verdict(text).has(Verdict::SECRET)
                };
                BEGINS.contains(&word(noun + 1).as_str()) && is_password(&word(noun))
            })
    }

    /// Returns whether the word is the password of credentials in a sentence, as in `the creds: root / abc123`.
    fn ends_credentials(&self, before: &[Range<usize>], word: &str) -> bool {
        const NAMES: [&str; 6] =
            ["creds", "credentials", "zugangsdaten", "anmeldedaten", "identifiants", "credenciales"];
        let [names @ .., _, slash] = before else { return false };
        let is_name = |name: &Range<usize>| {
            let name = self.text[name.clone()].trim_end_matches(':');
            NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        &self.text[slash.clone()] == "/" && word.len() >= 7 && names.iter().any(is_name)
    }
}

/// Returns whether the text is about a wireless network, whose password people call a key.
fn is_of_network(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["ssid", "wi-fi", "wifi", "wlan"].iter().any(|name| text.contains(name))
}

/// Returns whether the bytes are half of a code that is written in two groups, as `550 184`.
fn is_code_group(bytes: &[u8]) -> bool {
    bytes.len() == 3 && bytes.iter().all(u8::is_ascii_digit)
}

/// Returns whether the byte stands between two words.
fn is_blank(byte: u8, is_form: bool) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t') || is_form && matches!(byte, b'+' | b'&')
}

/// The words after which a statement or a call has a password in quotation marks.
const STATEMENTS: &[&str] = &["identified by", "password", "convertto-securestring", "convertto-securestring -string"];

/// The words between the name of a secret and the secret.
const VERBS: &[&str] = &[
    "is", "was", "are", "to", "with", "of", "lautet", "lautete", "ist", "war", "est", "était", "es", "era", "è", "é",
    "är",
];

/// Returns the position of the first digit. Digits are rare, so the bytes are compared sixteen at once.
fn digit(bytes: &[u8]) -> Option<usize> {
    let has_digit = |chunk: &[u8]| chunk.iter().fold(false, |found, byte| found | byte.is_ascii_digit());
    let chunk = bytes.chunks(16).position(has_digit)?;
    bytes[chunk * 16..].iter().position(u8::is_ascii_digit).map(|at| chunk * 16 + at)
}

/// The distance around a word within which a sentence names it, and the longest word, in bytes.
const SENTENCE_BYTES: usize = 80;

/// Returns the places of the words around the word at these positions, and its own.
fn words_near(text: &str, start: usize, end: usize, is_form: bool) -> Vec<Range<usize>> {
    let from = text.ceil_char_boundary(start.saturating_sub(SENTENCE_BYTES));
    let to = text.floor_char_boundary((end + SENTENCE_BYTES).min(text.len()));
    let mut words = Vec::new();
    let mut at = from;
    for part in text[from..to].split(|c: char| u8::try_from(c).is_ok_and(|byte| is_blank(byte, is_form))) {
        if !part.is_empty() {
            words.push(at..at + part.len());
        }
        at += part.len() + 1;
    }
    words
}

/// The options that take a password, and the programs that have them.
const PASSWORD_OPTIONS: &[(&str, &[&str])] = &[
    ("-p", &["sshpass", "login", "mongo"]),
    ("-P", &["sqlcmd", "bcp ", "mosquitto", "ipmitool"]),
    ("-a", &["redis-cli"]),
    ("-w", &["ldap"]),
    ("-A", &["snmp"]),
    ("-X", &["snmp"]),
    ("-c", &["snmp"]),
];

/// Returns whether the option takes a password. `is_of` says whether the command has a program.
pub fn takes_password(option: &str, is_of: impl Fn(&str) -> bool) -> bool {
    option.len() == 2
        && PASSWORD_OPTIONS
            .iter()
            .any(|(name, programs)| *name == option && programs.iter().any(|program| is_of(program)))
}

/// Returns whether a word can be the argument of an option: it is no option, variable or remark.
fn is_argument(word: &str) -> bool {
    !word.is_empty() && !word.starts_with(['-', '$', '(']) && !super::is_remark(word)
}

fn names(command: &[u8], program: &str) -> bool {
    memchr::memmem::find(command, program.as_bytes()).is_some()
}

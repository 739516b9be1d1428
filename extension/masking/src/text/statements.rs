//! Secrets in places that other places of the text name: rows of an INSERT, the files `.netrc` and `.pgpass`.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Scanner, is_odd};
use crate::keys::Verdict;

/// The maximum number of columns of a statement that are read.
const COLUMNS: usize = 200;

impl Scanner<'_, '_> {
    /// Finds the values of `INSERT INTO users (name, password) VALUES ('a', 'b')`.
    pub(super) fn rows(&mut self) {
        static LOWER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("values"));
        static UPPER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("VALUES"));
        let Some(values) = LOWER.find(self.bytes).or_else(|| UPPER.find(self.bytes)) else { return };
        let Some(columns) = self.text[..values].trim_end().strip_suffix(')').and_then(|text| text.rsplit_once('('))
        else {
            return;
        };
        let is_secret: Vec<bool> = columns
            .1
            .split(',')
            .take(COLUMNS)
            .map(|column| self.keys.verdict(column.trim().trim_matches(['"', '`', '[', ']'])).has(Verdict::SECRET))
            .collect();
        if !is_secret.contains(&true) {
            return;
        }
        let mut column = 0;
        let mut depth = 0;
        let mut at = values + "values".len();
        while at < self.bytes.len() {
            match self.bytes[at] {
                quote @ (b'\'' | b'"') => {
                    let end = self.closing(at + 1, quote, 0);
                    if depth > 0 && end > at + 1 && is_secret.get(column) == Some(&true) {
                        self.found.push(at + 1..end);
                    }
                    at = end;
                }
                b'(' => {
                    if depth == 0 {
                        column = 0;
                    }
                    depth += 1;
                }
                b')' => depth = (depth - 1).max(0),
                b',' if depth == 1 => column += 1,
                b';' if depth == 0 => return,
                _ => {}
            }
            at += 1;
        }
    }

    /// Finds the passwords of `machine a login b password c` (`.netrc`) and `net use Z: \\\\a\\b /user:c password`.
    pub(super) fn logins(&mut self) {
        static PASSWORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" password "));
        static NET_USE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("net use "));
        let is_blank = |byte: &u8| byte.is_ascii_whitespace();
        let mut from = 0;
        while let Some(at) = PASSWORD.find(&self.bytes[from..]).map(|at| from + at) {
            from = at + " password ".len();
            let mut words = self.text[..at].rsplit([' ', '\n', '\t']);
            let is_login = words.next().is_some() && words.next() == Some("login");
            let end = self.bytes[from..].iter().position(is_blank).map_or(self.bytes.len(), |end| from + end);
            if is_login && end > from {
                self.found.push(from..end);
            }
        }
        self.settings();
        if memchr::memchr(b'|', self.bytes).is_some() {
            self.standard_input();
        }
        if memchr::memchr(b'/', self.bytes).is_some()
            && NET_USE.find(self.bytes).is_some()
            && let Some(user) = self.text.find("/user:")
            && let Some(start) = self.text[user..].find(' ').map(|space| user + space + 1)
        {
            let end = self.bytes[start..].iter().position(is_blank).map_or(self.bytes.len(), |end| start + end);
            if end > start && !self.text[start..].starts_with('/') {
                self.found.push(start..end);
            }
        }
    }

    /// Finds the password that a command writes to another: `echo abc | docker login --password-stdin`.
    fn standard_input(&mut self) {
        static ECHO: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("echo "));
        const READERS: [&str; 3] = ["-stdin", "chpasswd", "sudo -S"];
        let Some(start) = ECHO.find(self.bytes).map(|at| at + "echo ".len()) else { return };
        let Some(pipe) = self.text[start..].find('|').map(|pipe| start + pipe) else { return };
        if !READERS.iter().any(|reader| self.text[pipe..].contains(reader)) {
            return;
        }
        let text = self.text[start..pipe].trim_end();
        let option = if text.starts_with("-n ") { "-n ".len() } else { 0 };
        let word = text[option..].trim_matches(['"', '\'']);
        let start = start + option + usize::from(text[option..].starts_with(['"', '\'']));
        // `chpasswd` reads `user:password`.
        let user = word.find(':').filter(|_| self.text[pipe..].contains("chpasswd")).map_or(0, |colon| colon + 1);
        if word.len() > user && !word.starts_with('$') {
            self.found.push(start + user..start + word.len());
        }
    }

    /// Finds the values of `aws configure set aws_secret_access_key abc` and of `rclone config create … pass abc`.
    fn settings(&mut self) {
        static CONFIG: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" config"));
        let Some(start) = CONFIG.find(self.bytes) else { return };
        let line = &self.text[start..];
        let line = &line[..line.find('\n').unwrap_or(line.len())];
        if ![" set ", " create ", " add "].iter().any(|verb| line.contains(verb)) {
            return;
        }
        let mut at = start;
        let mut is_named = false;
        for word in line.split(' ') {
            if is_named && is_odd(word) && !word.contains('=') {
                self.found.push(at..at + word.len());
            }
            let name = word.rsplit(['/', ':']).next().unwrap_or(word);
            is_named = !word.starts_with('-') && self.keys.verdict(name).has(Verdict::SECRET);
            at += word.len() + 1;
        }
    }

    /// Finds the password of a wireless network in the text of its QR code: `WIFI:T:WPA;S:name;P:password;;`.
    pub(super) fn network(&mut self) {
        if self.bytes.starts_with(b"WIFI:")
            && let Some(start) = self.text.find(";P:").map(|at| at + ";P:".len())
        {
            let end = self.text[start..].find(';').map_or(self.text.len(), |end| start + end);
            self.found.push(start..end);
        }
    }

    /// Finds the passwords of `host:5432:database:user:password` (`.pgpass`).
    pub(super) fn pgpass(&mut self) {
        const PORTS: [&str; 4] = ["5432", "5433", "6432", "*"];
        if memchr::memchr_iter(b':', self.bytes).nth(3).is_none() {
            return;
        }
        let mut start = 0;
        for line in self.text.split('\n') {
            let parts: Vec<&str> = line.trim_end().splitn(5, ':').collect();
            if let [host, port, _, _, password] = parts[..]
                && !password.is_empty()
                && !host.contains(' ')
                && PORTS.contains(&port)
            {
                let end = start + line.trim_end().len();
                self.found.push(end - password.len()..end);
            }
            start += line.len() + 1;
        }
    }
}

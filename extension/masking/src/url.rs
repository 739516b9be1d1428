//! Secrets in URLs: the password of the user, and paths that are credentials.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::opaque::is_opaque;

/// Services whose webhook URLs are credentials: the host, and the segments of the path that are not secret.
const WEBHOOKS: &[(&str, usize)] = &[
    ("hooks.slack.com/services/", 0),
    ("hooks.slack.com/workflows/", 0),
    ("discord.com/api/webhooks/", 1),
    ("discordapp.com/api/webhooks/", 1),
    (".webhook.office.com/webhookb2/", 0),
    ("outlook.office.com/webhook/", 0),
    ("hooks.zapier.com/hooks/catch/", 1),
    ("api.telegram.org/bot", 0),
    ("maker.ifttt.com/use/", 0),
    ("hook.make.com/", 0),
    ("hc-ping.com/", 0),
];

/// Returns whether the host belongs to one of these services.
fn is_of_service(host: &str) -> bool {
    let domain = host.rsplit('.').nth(1).unwrap_or("");
    matches!(
        domain,
        "slack" | "discord" | "discordapp" | "office" | "zapier" | "telegram" | "ifttt" | "make" | "hc-ping"
    )
}

/// The segments of a path after which a random segment is a credential.
const LINKS: &[&str] = &[
    "reset",
    "invit",
    "magic",
    "verif",
    "confirm",
    "activat",
    "unsubscribe",
    "password",
    "token",
    "share",
    "login",
    "hooks/",
];

/// Finds the secrets of every URL, apart from those in its query string, which has assignments.
pub fn find(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut has_driver = false;
    let is_begin = |colon: &usize| {
        has_driver |= bytes[..*colon].ends_with(b"jdbc");
        bytes[*colon..].starts_with(b"://")
    };
    let mut begins = memchr::memchr_iter(b':', bytes).filter(is_begin).peekable();
    while let Some(colon) = begins.next() {
        let at = colon + "://".len();
        // A URL within the URL is looked at by itself.
        let next = begins.peek().copied().unwrap_or(bytes.len()).max(at);
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"\"'<>`|\\".contains(byte);
        let end = bytes[at..next].iter().position(is_end).map_or(next, |end| at + end);
        // A server of NATS takes a token in the place of the user.
        let is_token = text[..colon].ends_with("nats");
        let host = user(text, at..end, is_token, found);
        path(text, host..end, found);
    }
    if has_driver {
        oracle(text, found);
    }
    easy_connect(text, found);
}

/// Finds the password in front of the host. Returns the position of the host.
fn user(text: &str, url: Range<usize>, is_token: bool, found: &mut Vec<Range<usize>>) -> usize {
    let rest = &text[url.clone()];
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = match rest[..authority].rfind('@') {
        Some(at) => at,
        // A password that is not encoded may have these characters, too.
        None => match (rest[..authority].split_once(':'), rest[authority..].rfind('@')) {
            (Some((_, port)), Some(at)) if !port.is_empty() && !port.bytes().all(|byte| byte.is_ascii_digit()) => {
                authority + at
            }
            _ => return url.start,
        },
    };
    let login = &rest[..at];
    match login.split_once(':') {
        Some((user, password)) if !password.is_empty() => {
            found.push(url.start + user.len() + 1..url.start + at);
            // A token may stand in the place of the user, as in `https://TOKEN:x-oauth-basic@host`.
            if is_opaque(user) {
                found.push(url.start..url.start + user.len());
            }
        }
        _ if is_token || is_opaque(login.trim_end_matches(':')) => {
            found.push(url.start..url.start + login.trim_end_matches(':').len())
        }
        _ => {}
    }
    url.start + at + 1
}

fn path(text: &str, url: Range<usize>, found: &mut Vec<Range<usize>>) {
    let rest = &text[url.clone()];
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let host = &rest[..rest.find('/').unwrap_or(end)];
    let services = if is_of_service(host) { WEBHOOKS } else { &[] };
    for (service, shown) in services {
        if let Some(at) = rest[..end].find(service) {
            let start = at + service.len();
            let secret = match rest[start..end].split_inclusive('/').nth(*shown) {
                Some(_) => start + rest[start..end].split_inclusive('/').take(*shown).map(str::len).sum::<usize>(),
                None => continue,
            };
            // A bot's methods follow its token.
            let stop =
                if service.ends_with("bot") { rest[secret..end].find('/').map_or(end, |at| secret + at) } else { end };
            found.push(url.start + secret..url.start + stop);
            return;
        }
    }
    let mut at = 0;
    let mut is_link = None;
    let first = rest.find('/').unwrap_or(end);
    for segment in rest[..end].split_inclusive('/') {
        let bare = segment.trim_end_matches('/');
        // The private address of a calendar is `…/private-abc/basic.ics`.
        let secret = bare.strip_prefix("private-").unwrap_or(bare);
        if secret.len() >= 16 && secret.len() < bare.len() && rest[..end].ends_with(".ics") {
            found.push(url.start + at + bare.len() - secret.len()..url.start + at + bare.len());
        }
        if bare.len() >= 16 && (is_opaque(bare) || bare.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            let is_link = *is_link.get_or_insert_with(|| {
                let path = rest[first.min(at)..at].to_ascii_lowercase();
                LINKS.iter().any(|link| path.contains(link))
            });
            if is_link {
                found.push(url.start + at..url.start + at + bare.len());
            }
        }
        at += segment.len();
    }
}

/// Finds the password of `user/password@//host:1521/service`.
fn easy_connect(text: &str, found: &mut Vec<Range<usize>>) {
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("@//"));
    if let Some(at) = FINDER.find(text.as_bytes()) {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':' | '@');
        let login = text[..at].rsplit(is_end).next().unwrap_or("");
        if let Some((user, password)) = login.split_once('/')
            && !user.is_empty()
            && !password.is_empty()
        {
            found.push(at - password.len()..at);
        }
    }
}

/// Finds the password of `jdbc:oracle:thin:user/password@host`.
fn oracle(text: &str, found: &mut Vec<Range<usize>>) {
    const DRIVER: &str = "jdbc:oracle:";
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DRIVER));
    if let Some(at) = FINDER.find(text.as_bytes()).map(|at| at + DRIVER.len())
        && let Some(end) = text[at..].find('@').map(|end| at + end)
        && let Some(slash) = text[at..end].find('/').map(|slash| at + slash + 1)
        && slash < end
    {
        found.push(slash..end);
    }
}

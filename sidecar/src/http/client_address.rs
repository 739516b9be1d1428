//! The address of the client of a request, behind proxies or without them.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::ProxyHeader;

/// Returns the address of the client: that of the connection, or the one that a trusted proxy names. Returns none if a
/// trusted proxy names something that is no address.
pub fn find(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr], header: ProxyHeader) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !trusted.contains(&peer) {
        return Some(peer);
    }
    let name = match header {
        ProxyHeader::XForwardedFor => "x-forwarded-for",
        ProxyHeader::Forwarded => "forwarded",
    };
    let mut hops = Vec::new();
    for value in headers.get_all(name) {
        let elements = value.to_str().map(|text| split(text, ',')).unwrap_or_else(|_| vec![""]);
        hops.extend(elements.into_iter().map(|element| match header {
            ProxyHeader::XForwardedFor => address(element.trim()),
            ProxyHeader::Forwarded => forwarded_for(element),
        }));
    }
    // Each proxy appends the address that it saw. From the end, the first that is not a trusted proxy is the client.
    let is_client = |hop: &&Option<IpAddr>| hop.is_none_or(|address| !trusted.contains(&address));
    match hops.iter().rev().find(is_client) {
        Some(client) => *client,
        None => hops.first().copied().unwrap_or(Some(peer)),
    }
}

/// Returns the address in the parameter `for` of an element of Forwarded (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let value = split(element, ';').into_iter().find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    })?;
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => address(&quoted.replace('\\', "")),
        None => address(value),
    }
}

/// Parses an address with or without a port: `192.0.2.7`, `192.0.2.7:443`, `2001:db8::7`, `[2001:db8::7]` or
/// `[2001:db8::7]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// Splits a text at a separator, but not within quotation marks.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(|c| {
        let is_end = c == separator && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && is_quoted && !is_escaped;
        is_end
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client(header: ProxyHeader, name: &'static str, values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let trusted = [PROXY, "10.0.0.2"].map(|ip| ip.parse().unwrap());
        find(PROXY.parse().unwrap(), &headers, &trusted, header).map(|ip| ip.to_string())
    }

    #[test]
    fn addresses_have_many_forms() {
        let named = |value: &str| client(ProxyHeader::XForwardedFor, "x-forwarded-for", &[value]);
        for (value, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:52144", "203.0.113.7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:9", "203.0.113.7"),
            ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
            ("203.0.113.7, 10.0.0.2", "203.0.113.7"),
            ("203.0.113.7,10.0.0.2:80,[::ffff:10.0.0.1]", "203.0.113.7"),
            ("10.0.0.2", "10.0.0.2"),
        ] {
            assert_eq!(named(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn an_unknown_client_is_never_the_proxy() {
        for value in
            ["unknown", "", "203.0.113.7, unknown", "_hidden, 10.0.0.2", "203.0.113.7 198.51.100.1", "fe80::1%eth0"]
        {
            assert_eq!(client(ProxyHeader::XForwardedFor, "x-forwarded-for", &[value]), None, "{value}");
        }
        for value in ["for=unknown", "for=\"_gazonk\"", "by=203.0.113.7", "for=203.0.113.7,proto=https", ""] {
            assert_eq!(client(ProxyHeader::Forwarded, "forwarded", &[value]), None, "{value}");
        }
    }

    #[test]
    fn forwarded_is_read_as_the_standard_says() {
        let named = |values: &[&str]| client(ProxyHeader::Forwarded, "forwarded", values);
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("proto=https; for=\"192.0.2.60:80\";host=\"a,b;for=9.9.9.9\"", "192.0.2.60"),
            ("for=192.0.2.60, for=10.0.0.2;host=\"\\\",for=9.9.9.9\"", "192.0.2.60"),
        ] {
            assert_eq!(named(&[value]).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(named(&["for=192.0.2.43", "for=10.0.0.2"]).as_deref(), Some("192.0.2.43"));
    }

    #[test]
    fn only_the_configured_header_of_a_trusted_proxy_is_believed() {
        assert_eq!(client(ProxyHeader::XForwardedFor, "forwarded", &["for=203.0.113.7"]).as_deref(), Some(PROXY));
        assert_eq!(client(ProxyHeader::Forwarded, "x-forwarded-for", &["203.0.113.7"]).as_deref(), Some(PROXY));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        let peer = "198.51.100.9".parse().unwrap();
        assert_eq!(find(peer, &headers, &[PROXY.parse().unwrap()], ProxyHeader::XForwardedFor), Some(peer));
    }
}

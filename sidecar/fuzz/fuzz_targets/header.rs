#![no_main]
//! Fuzzes headers: the accepted formats, the encodings of a body with the body itself, and the addresses that proxies
//! name. The input has a line for each header, and the body after an empty line.

use std::net::IpAddr;

use audit_sidecar::config::ProxyHeader;
use audit_sidecar::http::accept::Format;
use audit_sidecar::http::client_address;
use audit_sidecar::http::encoding::Encoding;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const MOST: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (head, body) = data.split_at(end);
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let parts = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(&line[at + 1..]));
        if let (Ok(name), Ok(value)) = parts {
            headers.append(name, value);
        }
    }
    let _ = Format::of(&headers);
    if let Ok(Some(encoding)) = Encoding::of(&headers)
        && let Ok(decoded) = encoding.decode(body.get(2..).unwrap_or_default(), MOST)
    {
        assert!(decoded.len() <= MOST);
    }
    let proxy: IpAddr = [10, 0, 0, 1].into();
    for header in [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded] {
        let stranger: IpAddr = [192, 0, 2, 7].into();
        assert_eq!(client_address::find(stranger, &headers, &[proxy], header), Some(stranger));
        client_address::find(proxy, &headers, &[proxy], header);
    }
});

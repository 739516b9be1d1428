//! An HTTP/1.1 client that can misbehave: it sends malformed requests, stops half-way, and reads slowly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use audit_harness::sidecar::Sidecar;

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    /// Whether the body is already in chunks, without a Content-Length.
    chunked: bool,
}

/// An answer of the sidecar.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body reached the end that HTTP announced.
    pub complete: bool,
}

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: None, chunked: false }
    }

    /// Creates a GET request with query parameters.
    pub fn find(path: &str, parameters: &[(&str, String)]) -> Self {
        let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        Self::get(if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) })
    }

    pub fn post(path: impl Into<String>, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type", media_type.to_owned())];
        Self { method: "POST", path: path.into(), headers, body: Some(body.into()), chunked: false }
    }

    /// Marks the body as already written in chunks.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self.header("Transfer-Encoding", "chunked")
    }

    /// Adds a query parameter that is already encoded.
    pub fn with(mut self, parameter: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(parameter);
        self
    }

    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub fn accept(self, media_type: &str) -> Self {
        self.header("Accept", media_type)
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Panics
    /// Panics if there is no answer.
    pub fn send(&self, sidecar: &Sidecar) -> Answer {
        self.try_send(sidecar).unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path))
    }

    /// Sends the request like [`Request::send`], but returns a failure as an error.
    pub fn try_send(&self, sidecar: &Sidecar) -> io::Result<Answer> {
        Answer::read(&mut self.begin(sidecar)?)
    }

    /// Sends the request and returns the connection, with the answer unread.
    pub fn begin(&self, sidecar: &Sidecar) -> io::Result<BufReader<TcpStream>> {
        let mut stream = connect(sidecar)?;
        stream.write_all(self.head(sidecar, self.body.as_ref().map(Vec::len).filter(|_| !self.chunked)).as_bytes())?;
        // A server may answer and close the connection before it has read everything. The test needs that answer.
        let _ = stream.write_all(self.body.as_deref().unwrap_or_default());
        Ok(BufReader::new(stream))
    }

    /// Returns the head of the request, for a body of that length.
    pub fn head(&self, sidecar: &Sidecar, length: Option<usize>) -> String {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.method, self.path, sidecar.address());
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }
}

impl Answer {
    /// Reads an answer from a connection that ends with it.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let (status, headers) = read_head(stream)?;
        let mut answer = Self { status, headers, body: Vec::new(), complete: true };
        let body = &mut answer.body;
        if answer.headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
            answer.complete = read_chunks(stream, body).is_ok();
        } else if let Some((_, length)) = answer.headers.iter().find(|(name, _)| name == "content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            let read = stream.take(length).read_to_end(body);
            answer.complete = read.is_ok() && body.len() as u64 == length;
        } else {
            answer.complete = stream.read_to_end(body).is_ok();
        }
        Ok(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Asserts success and returns the answer.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status / 100 == 2 && self.complete, "{} {:?}: {}", self.status, self.complete, self.text());
        self
    }

    /// Returns the ids in the answer of POST.
    #[track_caller]
    pub fn ids(self) -> Vec<i64> {
        serde_json::from_value(self.ok().json()["ids"].clone()).unwrap()
    }
}

/// Reads the status line and the headers, with their names in lower case.
pub fn read_head(stream: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, format!("the line {line:?} has no status")))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok((status, headers)) };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        if stream.take(length).read_to_end(body)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.read_line(&mut line)?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// Connects to the sidecar.
pub fn connect(sidecar: &Sidecar) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(sidecar.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.set_write_timeout(Some(Duration::from_secs(120)))?;
    Ok(stream)
}

/// Encodes a text for a URL.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

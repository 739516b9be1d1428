//! An issuer of JWTs that a test controls: its keys, its ID tokens and its failures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// An issuer, which serves its metadata, its keys and its ID token.
#[derive(Clone)]
pub struct Issuer {
    pub url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    /// How often the keys were read.
    pub reads: Arc<AtomicUsize>,
    /// How many requests came.
    pub requests: Arc<AtomicUsize>,
    /// Whether it answers late, and with an error.
    pub is_down: Arc<AtomicBool>,
    /// Whether it answers late.
    pub is_slow: Arc<AtomicBool>,
    /// The ID token for the next code.
    pub id_token: Arc<Mutex<String>>,
    /// The last form that came to the token endpoint.
    pub form: Arc<Mutex<String>>,
}

/// A key of an issuer.
pub enum Key {
    P256(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Issuer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            keys: Arc::default(),
            reads: Arc::default(),
            requests: Arc::default(),
            is_down: Arc::default(),
            is_slow: Arc::default(),
            id_token: Arc::default(),
            form: Arc::default(),
        };
        let served = issuer.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (path, form) = read(&stream);
                served.requests.fetch_add(1, Ordering::Relaxed);
                if served.is_down.load(Ordering::Relaxed) {
                    thread::sleep(DELAY);
                    continue;
                }
                if served.is_slow.load(Ordering::Relaxed) {
                    thread::sleep(DELAY);
                }
                let body = served.answer(&path, form).to_string();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
                let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
            }
        });
        issuer
    }

    fn answer(&self, path: &str, form: String) -> Value {
        match path {
            "/.well-known/openid-configuration" => json!({
                "issuer": self.url,
                "jwks_uri": format!("{}/keys", self.url),
                "authorization_endpoint": format!("{}/authorize?tenant=1", self.url),
                "token_endpoint": format!("{}/token", self.url),
            }),
            "/keys" => {
                self.reads.fetch_add(1, Ordering::Relaxed);
                json!({ "keys": *self.keys.lock().unwrap() })
            }
            _ => {
                *self.form.lock().unwrap() = form;
                json!({ "access_token": "x", "token_type": "Bearer", "id_token": *self.id_token.lock().unwrap() })
            }
        }
    }

    pub fn publish(&self, keys: Vec<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    /// Returns settings with this issuer, and with more of its settings.
    pub fn settings(&self, more: &str) -> String {
        format!("[[issuer]]\nissuer = \"{}\"\naudience = [\"audit\"]\n{more}\n{RULES}", self.url)
    }

    /// Returns claims that are accepted.
    pub fn claims(&self) -> Value {
        let now = now();
        json!({ "iss": self.url, "aud": "audit", "sub": "ada", "iat": now, "exp": now + 300, "groups": ["readers"] })
    }
}

impl Key {
    pub fn p256() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap())
    }

    pub fn ed() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub fn jwk(&self, id: &str) -> Value {
        match self {
            Self::P256(key) => {
                let public = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": encode(&public[1..33]), "y": encode(&public[33..]) })
            }
            Self::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "x": encode(key.public_key().as_ref()) })
            }
        }
    }

    pub fn sign(&self, id: &str, claims: &Value) -> String {
        let algorithm = if matches!(self, Self::Ed(_)) { "EdDSA" } else { "ES256" };
        self.sign_as(&json!({ "alg": algorithm, "kid": id }), claims)
    }

    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = match self {
            Self::P256(key) => encode(key.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref()),
            Self::Ed(key) => encode(key.sign(text.as_bytes()).as_ref()),
        };
        format!("{text}.{signature}")
    }
}

/// Reads a request, and returns its path and its body.
fn read(stream: &TcpStream) -> (String, String) {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        lines.push(line.to_lowercase());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = stream.read_exact(&mut body);
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    (path, String::from_utf8(body).unwrap())
}

pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

pub fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns the claims with others in their place. Null removes a claim.
pub fn with(claims: &Value, others: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in others.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// Time after which an issuer that is down closes a connection, and one that is slow answers.
pub const DELAY: Duration = Duration::from_secs(2);

pub const RULES: &str = r#"
    rule = [
        { claim = "groups", value = "admins", role = "admin", all_workspaces = true },
        { claim = "groups", value = "tenants", role = "viewer", workspace_claim = "org.id" },
        { claim = "groups", value = "readers", role = "viewer", workspace = "acme" },
    ]
"#;

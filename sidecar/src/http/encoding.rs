//! Compressed request bodies. The decoders of tower-http drop everything after the first member of a gzip file, so that
//! events would be lost without an error.

use std::io::{self, Read};

use axum::http::{HeaderMap, header};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::error::{ApiError, Code};
use crate::text::shorten;

/// The accepted encodings, as the value of `Accept-Encoding`.
pub const ACCEPTED: &str = "gzip, zstd, deflate";

/// The encoding of a compressed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952, with any number of members.
    Gzip,
    /// RFC 8878, with any number of frames.
    Zstd,
    /// RFC 1950.
    Deflate,
}

impl Encoding {
    /// Returns the encoding that `Content-Encoding` names. Returns none if the body is not compressed.
    ///
    /// # Errors
    /// Fails with `unsupported_encoding`.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let values = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
        let names = values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase());
        let names: Vec<String> = names.filter(|name| !name.is_empty() && name != "identity").collect();
        match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(None),
            ["gzip" | "x-gzip"] => Ok(Some(Self::Gzip)),
            ["zstd"] => Ok(Some(Self::Zstd)),
            ["deflate"] => Ok(Some(Self::Deflate)),
            _ => Err(ApiError::new(
                Code::UnsupportedEncoding,
                format!("the encoding \"{}\" of the body is not supported", shorten(&names.join(", "))),
            )
            .with_hint(format!("Send the body without Content-Encoding, or with one of: {ACCEPTED}."))),
        }
    }

    /// Decompresses a body. It stops as soon as the result has more than `most` bytes.
    ///
    /// # Errors
    /// Fails with `body_too_large` or `invalid_encoding`.
    pub fn decode(self, body: &[u8], most: usize) -> Result<Vec<u8>, ApiError> {
        let mut rest = body;
        let decoded = match self {
            Self::Gzip => read(MultiGzDecoder::new(rest), most),
            Self::Zstd => ZstdDecoder::with_buffer(rest).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW)?;
                read(decoder, most)
            }),
            Self::Deflate => read(ZlibDecoder::new(&mut rest), most).and_then(|decoded| {
                // The decoder leaves what follows the end of its data.
                let is_whole = rest.is_empty() || decoded.len() > most;
                if is_whole { Ok(decoded) } else { Err(io::Error::other("data follow the end of the body")) }
            }),
        };
        match decoded {
            Ok(decoded) if decoded.len() > most => Err(ApiError::new(
                Code::BodyTooLarge,
                format!("the body has more than {most} bytes when it is decompressed"),
            )),
            Ok(decoded) => Ok(decoded),
            Err(error) => Err(ApiError::new(
                Code::InvalidEncoding,
                format!("the body is not whole and valid {}; nothing was stored", self.name()),
            )
            .with_cause(error)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate (zlib)",
        }
    }
}

/// Reads at most one byte more than `most`.
fn read(decoder: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    decoder.take(most as u64 + 1).read_to_end(&mut decoded)?;
    Ok(decoded)
}

/// The logarithm of the largest window of a zstd frame. RFC 9659 requires 8 MiB for HTTP.
const ZSTD_WINDOW: u32 = 23;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::{HeaderMap, HeaderValue, header};
    use flate2::Compression;
    use flate2::read::{GzEncoder, ZlibEncoder};

    use super::Encoding;
    use crate::error::Code;

    fn encode(encoding: Encoding, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            Encoding::Gzip => GzEncoder::new(text, Compression::default()).read_to_end(&mut out).map(drop),
            Encoding::Zstd => zstd::encode_all(text, 3).map(|all| out = all),
            Encoding::Deflate => ZlibEncoder::new(text, Compression::default()).read_to_end(&mut out).map(drop),
        }
        .unwrap();
        out
    }

    const ALL: [Encoding; 3] = [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate];

    #[test]
    fn a_whole_body_is_decoded_and_nothing_else() {
        let text = b"events ".repeat(1000);
        for encoding in ALL {
            let body = encode(encoding, &text);
            let decode = |body: &[u8], most| encoding.decode(body, most).map_err(|error| error.code());
            assert_eq!(decode(&body, text.len()), Ok(text.clone()), "{encoding:?}");
            assert_eq!(decode(&body, text.len() - 1), Err(Code::BodyTooLarge), "{encoding:?}");
            for cut in [1, 5, body.len() / 2, body.len() - 1] {
                assert_eq!(decode(&body[..cut], text.len()), Err(Code::InvalidEncoding), "{encoding:?} {cut}");
            }
            let more = [&body[..], b"garbage"].concat();
            assert_eq!(decode(&more, text.len()), Err(Code::InvalidEncoding), "{encoding:?}");
        }
    }

    #[test]
    fn members_and_frames_may_follow_each_other() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let body = [encode(encoding, b"one "), encode(encoding, b"two")].concat();
            assert_eq!(encoding.decode(&body, 100).unwrap(), b"one two", "{encoding:?}");
        }
    }

    #[test]
    fn names_are_read_in_either_case_and_lists_are_refused() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
            Encoding::of(&headers).map_err(|error| error.code())
        };
        for (value, encoding) in [
            ("GZIP", Some(Encoding::Gzip)),
            ("x-gzip", Some(Encoding::Gzip)),
            (" zstd", Some(Encoding::Zstd)),
            ("deflate", Some(Encoding::Deflate)),
            ("identity", None),
            ("", None),
        ] {
            assert_eq!(of(value), Ok(encoding), "{value}");
        }
        for value in ["br", "gzip, gzip", "compress", "aes128gcm"] {
            assert_eq!(of(value), Err(Code::UnsupportedEncoding), "{value}");
        }
        assert_eq!(Encoding::of(&HeaderMap::new()).unwrap(), None);
    }
}

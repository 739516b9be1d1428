use std::str::FromStr;

use url::Url;

use crate::text::shorten;

/// An origin whose pages may show viewer links in a frame, such as `https://app.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedOrigin(String);

impl EmbedOrigin {
    /// Returns the origin in the form of a browser.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmbedOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{}\" is not an origin such as https://app.example", shorten(text));
        // A wildcard would also allow hosts that the operator does not know.
        super::base_url(text)
            .ok()
            .filter(|url| url.host_str().is_some_and(|host| !host.contains('*')))
            .ok_or_else(wrong)
            .map(|url: Url| Self(url.origin().ascii_serialization()))
    }
}

#[cfg(test)]
mod tests {
    use super::EmbedOrigin;

    #[test]
    fn an_origin_is_one_host() {
        let origin = |text: &str| text.parse::<EmbedOrigin>().map(|origin| origin.0);
        assert_eq!(origin("https://App.Example"), Ok("https://app.example".to_owned()));
        assert_eq!(origin("https://app.example:443/"), Ok("https://app.example".to_owned()));
        assert_eq!(origin("http://localhost:8080"), Ok("http://localhost:8080".to_owned()));
        for wrong in [
            "",
            "*",
            "app.example",
            "https://*.app.example",
            "https://app.example/x",
            "https://a b",
            "null",
            "https://u@app.example",
            "https://app.example;script-src *",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}

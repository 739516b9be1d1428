use clap::ValueEnum;

/// The header in which the trusted proxies name the client. Only one is read: a proxy that writes one of them may pass on
/// what the client wrote into the other.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// X-Forwarded-For: addresses separated by commas
    #[default]
    XForwardedFor,
    /// Forwarded, as in RFC 7239
    Forwarded,
}

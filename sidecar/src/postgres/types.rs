//! Types of PostgreSQL that the driver does not map to a Rust type, or not without loss.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// The text of a `jsonb` value, exactly as PostgreSQL writes it. The sidecar does not parse it.
#[derive(Clone, Copy, Debug)]
pub struct JsonText<'a>(pub &'a str);

/// An `inet` value. Its text is the same as PostgreSQL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inet {
    /// The address.
    pub address: IpAddr,
    /// Number of bits of the network part. A single host has all bits.
    pub prefix: u8,
}

/// A `date` in the years 1 to 9999. Its text is `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Days since 1970-01-01.
    pub days: i32,
}

/// An `xid8` value: a transaction id with its epoch. The server uses at most 63 bits of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xid(pub i64);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match raw {
            [JSONB_VERSION, text @ ..] => Ok(Self(str::from_utf8(text)?)),
            _ => Err("jsonb has an unknown version".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

impl ToSql for JsonText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u8(JSONB_VERSION);
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Inet {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let [_family, prefix, _is_cidr, _length, address @ ..] = raw else {
            return Err("inet is too short".into());
        };
        let address = if let Ok(v4) = <[u8; 4]>::try_from(address) {
            IpAddr::V4(Ipv4Addr::from(v4))
        } else {
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address)?))
        };
        Ok(Self { address, prefix: *prefix })
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INET
    }
}

impl fmt::Display for Inet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.address {
            IpAddr::V4(v4) => {
                write!(f, "{v4}")?;
                32
            }
            IpAddr::V6(v6) => {
                match v6.segments() {
                    // PostgreSQL writes the last four bytes as an IPv4 address here. Rust does not.
                    [0, 0, 0, 0, 0, 0, high, low] if high > 0 => {
                        let [a, b] = high.to_be_bytes();
                        let [c, d] = low.to_be_bytes();
                        write!(f, "::{a}.{b}.{c}.{d}")?;
                    }
                    _ => write!(f, "{v6}")?,
                }
                128
            }
        };
        if self.prefix == bits { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl<'a> FromSql<'a> for Date {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let days = i32::from_be_bytes(raw.try_into()?).checked_add(POSTGRES_EPOCH_DAYS);
        let date = days.map(|days| Self { days }).filter(|date| date.midnight().is_some());
        date.ok_or_else(|| "a date outside the years 1 to 9999".into())
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }
}

impl Date {
    fn midnight(self) -> Option<[u8; 27]> {
        audit_proof::time::to_text(i64::from(self.days) * MICROS_PER_DAY)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.midnight().ok_or(fmt::Error)?;
        f.write_str(str::from_utf8(&text[..10]).map_err(|_| fmt::Error)?)
    }
}

impl<'a> FromSql<'a> for Xid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u64::from_be_bytes(raw.try_into()?).try_into()?))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::XID8
    }
}

const JSONB_VERSION: u8 = 1;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// 2000-01-01, the epoch of PostgreSQL, in days since 1970-01-01.
const POSTGRES_EPOCH_DAYS: i32 = 10_957;

#[cfg(test)]
mod tests {
    use super::{Date, Inet};

    #[test]
    fn addresses_are_written_as_postgresql_writes_them() {
        for (address, prefix, text) in [
            ("203.0.113.9", 32, "203.0.113.9"),
            ("10.0.0.0", 8, "10.0.0.0/8"),
            ("::1", 128, "::1"),
            ("::", 0, "::/0"),
            ("::5", 128, "::5"),
            ("::1:0", 128, "::0.1.0.0"),
            ("::ffff:0:5", 128, "::ffff:0.0.0.5"),
            ("::102:304", 128, "::1.2.3.4"),
            ("::ffff:102:304", 128, "::ffff:1.2.3.4"),
            ("2001:db8::1", 64, "2001:db8::1/64"),
        ] {
            assert_eq!(Inet { address: address.parse().unwrap(), prefix }.to_string(), text);
        }
    }

    #[test]
    fn dates_are_written_as_postgresql_writes_them() {
        for (days, text) in [(0, "1970-01-01"), (10_957, "2000-01-01"), (-1, "1969-12-31"), (2_932_896, "9999-12-31")] {
            assert_eq!(Date { days }.to_string(), text);
        }
    }
}

//! Networks of addresses, and which of them have a key in the index of a partition.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address whose bits behind the first `length` are zero. An IPv4-mapped network of IPv6 is one of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

/// The lengths of networks that have keys. A query for another length takes the networks within, if they are at most
/// `2^MOST_BITS`, or else the one around. With many keys the planner expects far too many rows.
const LENGTHS_4: [u8; 3] = [32, 24, 16];
const LENGTHS_6: [u8; 4] = [128, 64, 48, 32];
const MOST_BITS: u8 = 4;

impl Network {
    /// The networks around an address that have keys.
    pub fn around(address: IpAddr) -> impl Iterator<Item = Self> {
        let address = address.to_canonical();
        lengths(address).iter().map(move |length| Self::new(address, *length))
    }

    /// The networks with keys that together hold every address of this one. None if this one is too large for keys.
    pub fn cover(self) -> Option<Box<dyn Iterator<Item = Self>>> {
        if self.has_mapped() {
            return None;
        }
        let lengths = lengths(self.address);
        let finer = lengths.iter().copied().filter(|length| *length >= self.length).min()?;
        let bits = finer - self.length;
        if bits <= MOST_BITS {
            let step = u32::from(width(self.address) - finer);
            return Some(Box::new(
                // The shift would overflow only for a network of all addresses, of which there is one.
                (0..1_u128 << bits)
                    .map(move |n| self.with(number(self.address) | n.checked_shl(step).unwrap_or(0), finer)),
            ));
        }
        let around = lengths.iter().copied().filter(|length| *length <= self.length).max()?;
        Some(Box::new(std::iter::once(Self::new(self.address, around))))
    }

    /// The IPv4-mapped form of an IPv4 network.
    pub fn mapped(self) -> Option<String> {
        match self.address {
            IpAddr::V4(v4) => Some(format!("{}/{}", v4.to_ipv6_mapped(), self.length + MAPPED_LENGTH)),
            IpAddr::V6(_) => None,
        }
    }

    /// Address and length, for a hash.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = match self.address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        bytes.push(self.length);
        bytes
    }

    fn new(address: IpAddr, length: u8) -> Self {
        let host = u32::from(width(address) - length);
        let bits = number(address).checked_shr(host).and_then(|bits| bits.checked_shl(host)).unwrap_or(0);
        Self { address, length }.with(bits, length)
    }

    /// A network of the same family.
    fn with(self, bits: u128, length: u8) -> Self {
        let address = match self.address {
            IpAddr::V4(_) => Ipv4Addr::from_bits(bits as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
        };
        Self { address, length }
    }

    /// Whether IPv4-mapped addresses are in this network of IPv6. Their keys are those of IPv4.
    fn has_mapped(self) -> bool {
        let IpAddr::V6(_) = self.address else { return false };
        let mapped = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
        self.length <= MAPPED_LENGTH && Self::new(mapped.into(), self.length).address == self.address
    }
}

/// `::ffff:0:0/96`, RFC 4291, section 2.5.5.2.
const MAPPED_LENGTH: u8 = 96;

impl FromStr for Network {
    type Err = ();

    /// An address or `address/length`; bits behind the length do not count.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(drop)?;
        let length = match length {
            None => width(address),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(drop)?,
            Some(_) => return Err(()),
        };
        if length > width(address) {
            return Err(());
        }
        match address.to_canonical() {
            v4 @ IpAddr::V4(_) if address.is_ipv6() && length >= MAPPED_LENGTH => {
                Ok(Self::new(v4, length - MAPPED_LENGTH))
            }
            _ => Ok(Self::new(address, length)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

fn lengths(address: IpAddr) -> &'static [u8] {
    match address {
        IpAddr::V4(_) => &LENGTHS_4,
        IpAddr::V6(_) => &LENGTHS_6,
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

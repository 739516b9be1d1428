//! Values in PostgreSQL's own representation: text, text[], bigint[], inet, jsonb. Read in place, made in the current memory
//! context, no more copies than needed.

use std::net::IpAddr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

const HEADER: usize = 4;
const INET_FAMILY_4: u8 = 2;
const INET_FAMILY_6: u8 = 3;

/// A text and, where it came from PostgreSQL, the datum that it came in.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    value: &'a str,
    datum: Option<Datum>,
}

impl<'a> Text<'a> {
    /// Reads a datum of type text.
    ///
    /// # Safety
    /// `datum` is a non-null text of a UTF8 database and stays in memory for `'a`.
    pub unsafe fn from_datum(datum: Datum) -> Text<'a> {
        // SAFETY: promised by the caller; CREATE EXTENSION refuses other encodings than UTF8, and PostgreSQL checks
        // every text against the database's encoding.
        unsafe {
            let (bytes, datum) = varlena_bytes(datum);
            Text { value: std::str::from_utf8_unchecked(bytes), datum: Some(datum) }
        }
    }

    /// A text that is not in PostgreSQL's representation yet.
    pub fn new(value: &'a str) -> Text<'a> {
        Text { value, datum: None }
    }

    /// The characters.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// The datum, made where there is none.
    pub fn datum(&self) -> Datum {
        self.datum.unwrap_or_else(|| varlena(&[self.value.as_bytes()]))
    }
}

/// The content of a variable-length datum, detoasted where need be, and the datum that holds it.
///
/// # Safety
/// `datum` is a non-null varlena and stays in memory for `'a`.
pub unsafe fn varlena_bytes<'a>(datum: Datum) -> (&'a [u8], Datum) {
    // SAFETY: promised by the caller; pg_detoast_datum_packed returns its argument or a palloc'd copy. It is not called for
    // what is plain already: that takes longer than the rest.
    unsafe {
        let varlena: *mut pg_sys::varlena = datum.cast_mut_ptr();
        let is_short = pgrx::varlena::varatt_is_1b(varlena) && !pgrx::varlena::varatt_is_1b_e(varlena);
        let is_plain = is_short || pgrx::varlena::varatt_is_4b_u(varlena);
        let packed = if is_plain { varlena } else { pg_sys::pg_detoast_datum_packed(varlena) };
        (pgrx::varlena::varlena_to_byte_slice(packed), Datum::from(packed))
    }
}

/// A jsonb's root container, 4-byte aligned, and the datum that holds it.
///
/// # Safety
/// `datum` is a non-null jsonb and stays in memory for `'a`.
pub unsafe fn jsonb_bytes<'a>(datum: Datum) -> (&'a [u8], Datum) {
    // SAFETY: promised by the caller; pg_detoast_datum gives a four-byte header, so that the content is aligned.
    unsafe {
        let plain = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
        (pgrx::varlena::varlena_to_byte_slice(plain), Datum::from(plain))
    }
}

/// Makes a variable-length datum of the parts, one after the other.
pub fn varlena(parts: &[&[u8]]) -> Datum {
    let size = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
    // SAFETY: palloc returns `size` writable bytes or raises; the parts add up to what is written behind the header.
    unsafe {
        let start: *mut u8 = pg_sys::palloc(size).cast();
        pgrx::varlena::set_varsize_4b(start.cast(), size as i32);
        let mut next = start.add(HEADER);
        for part in parts {
            std::ptr::copy_nonoverlapping(part.as_ptr(), next, part.len());
            next = next.add(part.len());
        }
        Datum::from(start)
    }
}

/// Makes a datum of type interval.
pub fn interval(interval: pg_sys::Interval) -> Datum {
    // SAFETY: palloc returns memory for an interval, aligned for any type, or raises.
    unsafe {
        let made: *mut pg_sys::Interval = pg_sys::palloc(size_of::<pg_sys::Interval>()).cast();
        made.write(interval);
        Datum::from(made)
    }
}

/// Makes a datum of type text[] with one dimension.
pub fn text_array(elements: &[Text<'_>]) -> Datum {
    varlena_array(pg_sys::TEXTOID, elements.iter().map(|text| text.value().as_bytes()))
}

/// Makes a datum of type bytea[] with one dimension.
pub fn bytea_array<'a>(elements: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Datum {
    varlena_array(pg_sys::BYTEAOID, elements)
}

/// Each element has a header and is padded to a multiple of four, which the header in front of all makes up to one.
fn varlena_array<'a>(of: pg_sys::Oid, elements: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Datum {
    let mut content = array_header(of, elements.len());
    content.reserve(elements.clone().map(|element| element.len() + 8).sum());
    for element in elements {
        content.resize(content.len().next_multiple_of(4), 0);
        let size = (element.len() + HEADER) as u32;
        content.extend_from_slice(&if cfg!(target_endian = "big") { size } else { size << 2 }.to_ne_bytes());
        content.extend_from_slice(element);
    }
    content.resize(content.len().next_multiple_of(4), 0);
    varlena(&[&content])
}

/// Makes a datum of type bigint[] with one dimension.
pub fn bigint_array(values: &[i64]) -> Datum {
    // SAFETY: the bytes of integers, as many as there are.
    let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) };
    varlena(&[&array_header(pg_sys::INT8OID, values.len()), bytes])
}

/// What stands in front of the elements: the number of dimensions, no offset (nothing is NULL), the type of the elements, and of
/// the one dimension their number and the lower bound (`utils/array.h`).
fn array_header(of: pg_sys::Oid, count: usize) -> Vec<u8> {
    let oid = of.to_u32().to_ne_bytes();
    let word = i32::to_ne_bytes;
    match count {
        0 => [word(0), word(0), oid].concat(),
        _ => [word(1), word(0), oid, word(count as i32), word(1)].concat(),
    }
}

/// The elements of a bigint[]; None where one of them is NULL.
///
/// # Safety
/// `datum` is a non-null bigint[].
pub unsafe fn bigint_array_elements(datum: Datum) -> Option<Vec<i64>> {
    // SAFETY: promised by the caller; utils/array.h as above, with an offset where there is a NULL.
    let (content, _) = unsafe { varlena_bytes(datum) };
    let number = |at: usize| i32::from_ne_bytes(content[at..at + 4].try_into().expect("four bytes"));
    if number(4) != 0 {
        return None;
    }
    let dimensions = number(0) as usize;
    // The elements are aligned to eight bytes from the header on.
    let start = (HEADER + 12 + 8 * dimensions).next_multiple_of(8) - HEADER;
    let elements = content.get(start..).unwrap_or_default().chunks_exact(8);
    Some(elements.map(|bytes| i64::from_ne_bytes(bytes.try_into().expect("eight bytes"))).collect())
}

/// The elements of a text[]; None stands for NULL.
///
/// # Safety
/// `datum` is a non-null text[] and stays in memory for `'a`.
pub unsafe fn text_array_elements<'a>(datum: Datum) -> impl Iterator<Item = Option<Text<'a>>> {
    // SAFETY: promised by the caller. utils/array.h: behind the header three numbers, two per dimension, then a bitmap of what is
    // not NULL if there is an offset, then the elements, each aligned to four bytes from the header on. The header may be
    // short, so that nothing lies on an address of its alignment.
    unsafe {
        let (content, _) = varlena_bytes(datum);
        let number = |at: usize| content.as_ptr().add(at).cast::<i32>().read_unaligned() as usize;
        let dimensions = number(0);
        let sizes = 3 * 4;
        let count = if dimensions == 0 { 0 } else { (0..dimensions).map(|i| number(sizes + 4 * i)).product() };
        let fixed = sizes + 8 * dimensions;
        let bitmap = (number(4) > 0).then(|| &content[fixed..]);
        let mut at = match number(4) {
            0 => (HEADER + fixed).next_multiple_of(pg_sys::MAXIMUM_ALIGNOF as usize),
            offset => offset,
        } - HEADER;
        (0..count).map(move |i| {
            if bitmap.is_some_and(|bitmap| bitmap[i / 8] & (1 << (i % 8)) == 0) {
                return None;
            }
            let (header, size) = element_size(&content[at..]);
            let element = std::str::from_utf8_unchecked(&content[at + header..at + size]);
            at += size.next_multiple_of(4);
            Some(Text::new(element))
        })
    }
}

/// The size of a text's header and of the whole, where it begins at the first of `bytes`: one byte or four, told apart by a bit
/// (`varatt.h`; in an array nothing is stored apart or compressed).
fn element_size(bytes: &[u8]) -> (usize, usize) {
    let first = bytes[0];
    let (is_short, short) =
        if cfg!(target_endian = "big") { (first & 0x80 != 0, first & 0x7F) } else { (first & 1 == 1, first >> 1) };
    if is_short {
        return (1, short.into());
    }
    let header = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let size = if cfg!(target_endian = "big") { header & 0x3FFF_FFFF } else { header >> 2 };
    (HEADER, size as usize)
}

/// Makes a datum of type inet of one address (`inet_struct` in `utils/inet.h`: family, bits, address).
pub fn inet(address: IpAddr) -> Datum {
    match address {
        IpAddr::V4(v4) => varlena(&[&[INET_FAMILY_4, 32], &v4.octets()]),
        IpAddr::V6(v6) => varlena(&[&[INET_FAMILY_6, 128], &v6.octets()]),
    }
}

/// Whether an inet is one address, not a network; the netmask otherwise.
///
/// # Safety
/// `datum` is a non-null inet.
pub unsafe fn inet_netmask(datum: Datum) -> Option<u8> {
    // SAFETY: promised by the caller; an inet has at least family and bits.
    let (bytes, _) = unsafe { varlena_bytes(datum) };
    let whole = if bytes[0] == INET_FAMILY_4 { 32 } else { 128 };
    (bytes[1] != whole).then_some(bytes[1])
}

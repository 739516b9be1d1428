//! Values in PostgreSQL's own representation: text, text[], bigint[], inet and jsonb. They are read in place and made
//! in the current memory context, to avoid copies.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

const HEADER: usize = 4;
const INET_FAMILY_4: u8 = 2;
const INET_FAMILY_6: u8 = 3;

/// A text. If it came from PostgreSQL, it keeps its datum.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    value: &'a str,
    datum: Option<Datum>,
}

impl<'a> Text<'a> {
    /// Reads a datum of type text.
    ///
    /// # Safety
    /// `datum` must be a non-null text of a UTF8 database, and must stay in memory for `'a`.
    pub unsafe fn from_datum(datum: Datum) -> Text<'a> {
        // SAFETY: promised by the caller. CREATE EXTENSION refuses encodings other than UTF8, and PostgreSQL checks
        // every text against the encoding of the database.
        unsafe {
            let (bytes, datum) = varlena_bytes(datum);
            Text { value: std::str::from_utf8_unchecked(bytes), datum: Some(datum) }
        }
    }

    /// Wraps a text that is not in PostgreSQL's representation yet.
    pub fn new(value: &'a str) -> Text<'a> {
        Text { value, datum: None }
    }

    /// Returns the characters.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// Returns the datum. Makes one if the text has none.
    pub fn datum(&self) -> Datum {
        self.datum.unwrap_or_else(|| varlena(&[self.value.as_bytes()]))
    }
}

/// Returns the content of a variable-length datum, detoasted if needed, and the datum that holds the content.
///
/// # Safety
/// `datum` must be a non-null varlena, and must stay in memory for `'a`.
pub unsafe fn varlena_bytes<'a>(datum: Datum) -> (&'a [u8], Datum) {
    // SAFETY: promised by the caller. pg_detoast_datum_packed returns its argument or a palloc'd copy. A plain datum
    // does not need this call, which would take longer than the rest of the function.
    unsafe {
        let varlena: *mut pg_sys::varlena = datum.cast_mut_ptr();
        let is_short = pgrx::varlena::varatt_is_1b(varlena) && !pgrx::varlena::varatt_is_1b_e(varlena);
        let is_plain = is_short || pgrx::varlena::varatt_is_4b_u(varlena);
        let packed = if is_plain { varlena } else { pg_sys::pg_detoast_datum_packed(varlena) };
        (pgrx::varlena::varlena_to_byte_slice(packed), Datum::from(packed))
    }
}

/// Returns the root container of a jsonb, aligned to 4 bytes, and the datum that holds it.
///
/// # Safety
/// `datum` must be a non-null jsonb, and must stay in memory for `'a`.
pub unsafe fn jsonb_bytes<'a>(datum: Datum) -> (&'a [u8], Datum) {
    // SAFETY: promised by the caller. pg_detoast_datum returns a datum with a four-byte header, so the content is
    // aligned.
    unsafe {
        let plain = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
        (pgrx::varlena::varlena_to_byte_slice(plain), Datum::from(plain))
    }
}

/// Makes a jsonb of a JSON text, and returns its root container and its datum.
///
/// # Panics
/// Panics if the text has a NUL. PostgreSQL raises an ERROR if it is not JSON.
pub fn jsonb<'a>(text: &str) -> (&'a [u8], Datum) {
    let text = CString::new(text).expect("the text has no NUL");
    // SAFETY: jsonb_in takes a C string, and returns a jsonb in the current memory context.
    unsafe {
        let made = pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(Datum::from(text.as_ptr()))]);
        jsonb_bytes(made.expect("an input function of a non-null string"))
    }
}

/// Makes a variable-length datum that consists of the parts, one after the other.
pub fn varlena(parts: &[&[u8]]) -> Datum {
    let size = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
    // SAFETY: palloc returns `size` writable bytes or raises. The header and the parts together have `size` bytes.
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
    // SAFETY: palloc raises or returns memory for an interval, aligned for any type.
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

/// Makes a datum of a one-dimensional array. Each element has a header and is padded to a multiple of four. The header
/// of the array itself is such a multiple, so the padding is right from the start of the datum, too.
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
    // SAFETY: the slice covers exactly the bytes of the integers.
    let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) };
    varlena(&[&array_header(pg_sys::INT8OID, values.len()), bytes])
}

/// Returns the header in front of the elements (`utils/array.h`). It holds the number of dimensions, no offset because
/// nothing is NULL, and the type of the elements. The number of elements and the lower bound of the one dimension
/// follow.
fn array_header(of: pg_sys::Oid, count: usize) -> Vec<u8> {
    let oid = of.to_u32().to_ne_bytes();
    let word = i32::to_ne_bytes;
    match count {
        0 => [word(0), word(0), oid].concat(),
        _ => [word(1), word(0), oid, word(count as i32), word(1)].concat(),
    }
}

/// Returns the elements of a bigint[]. Returns None if one of them is NULL.
///
/// # Safety
/// `datum` must be a non-null bigint[].
pub unsafe fn bigint_array_elements(datum: Datum) -> Option<Vec<i64>> {
    // SAFETY: promised by the caller. The layout is that of utils/array.h, with an offset if there is a NULL.
    let (content, _) = unsafe { varlena_bytes(datum) };
    let number = |at: usize| i32::from_ne_bytes(content[at..at + 4].try_into().expect("four bytes"));
    if number(4) != 0 {
        return None;
    }
    let dimensions = number(0) as usize;
    // The elements are aligned to eight bytes, counted from the header.
    let start = (HEADER + 12 + 8 * dimensions).next_multiple_of(8) - HEADER;
    let elements = content.get(start..).unwrap_or_default().chunks_exact(8);
    Some(elements.map(|bytes| i64::from_ne_bytes(bytes.try_into().expect("eight bytes"))).collect())
}

/// Returns the elements of a text[]. None stands for NULL.
///
/// # Safety
/// `datum` must be a non-null text[], and must stay in memory for `'a`.
pub unsafe fn text_array_elements<'a>(datum: Datum) -> impl Iterator<Item = Option<Text<'a>>> {
    // SAFETY: promised by the caller. The layout is that of utils/array.h. Three numbers follow the header, then two
    // for each dimension. If there is an offset, a bitmap of the elements that are not NULL follows. Then come the
    // elements, each aligned to four bytes, counted from the header. The header may be short, so the numbers may lie at
    // unaligned addresses.
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

/// Returns the size of the header of a text and of the whole text, which begins at `bytes[0]`. The header has one byte
/// or four, and a bit tells them apart (`varatt.h`). Elements of an array are neither compressed nor stored out of
/// line.
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

/// Returns the address of an inet, whatever its netmask is.
///
/// # Safety
/// `datum` must be a non-null inet.
pub unsafe fn inet_address(datum: Datum) -> IpAddr {
    // SAFETY: promised by the caller. Behind the family and the bits, an inet has the 4 or 16 bytes of its address.
    let (bytes, _) = unsafe { varlena_bytes(datum) };
    let address = &bytes[2..];
    match <[u8; 4]>::try_from(address) {
        Ok(octets) if bytes[0] == INET_FAMILY_4 => Ipv4Addr::from(octets).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(address).expect("an inet of 4 or 16 bytes")).into(),
    }
}

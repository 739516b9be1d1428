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
    // SAFETY: promised by the caller; pg_detoast_datum_packed returns its argument or a palloc'd copy.
    unsafe {
        let packed = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
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

/// Makes a datum of type text[] with one dimension.
pub fn text_array(elements: &[Text<'_>]) -> Datum {
    let mut datums: Vec<Datum> = elements.iter().map(Text::datum).collect();
    // SAFETY: the datums are texts; -1, false and 'i' are the length, by-value flag and alignment of text.
    unsafe {
        Datum::from(pg_sys::construct_array(
            datums.as_mut_ptr(),
            datums.len() as i32,
            pg_sys::TEXTOID,
            -1,
            false,
            b'i' as std::ffi::c_char,
        ))
    }
}

/// Makes a datum of type bigint[] with one dimension.
pub fn bigint_array(values: &[i64]) -> Datum {
    let mut datums: Vec<Datum> = values.iter().map(|&value| Datum::from(value)).collect();
    // SAFETY: 8, true and 'd' are the length, by-value flag and alignment of bigint.
    unsafe {
        Datum::from(pg_sys::construct_array(
            datums.as_mut_ptr(),
            datums.len() as i32,
            pg_sys::INT8OID,
            8,
            true,
            b'd' as std::ffi::c_char,
        ))
    }
}

/// The elements of a text[]; None stands for NULL.
///
/// # Safety
/// `datum` is a non-null text[] and stays in memory for `'a`.
pub unsafe fn text_array_elements<'a>(datum: Datum) -> impl Iterator<Item = Option<Text<'a>>> {
    // SAFETY: promised by the caller. utils/array.h: the header, two numbers per dimension, then a bitmap of what is not
    // NULL if there is an offset, then the elements, each aligned to four bytes.
    unsafe {
        let array: *mut pg_sys::ArrayType = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
        let dimensions = (*array).ndim.max(0) as usize;
        let sizes = array.add(1).cast::<i32>();
        let count = if dimensions == 0 { 0 } else { (0..dimensions).map(|i| *sizes.add(i) as usize).product() };
        let header = size_of::<pg_sys::ArrayType>() + 8 * dimensions;
        let offset = (*array).dataoffset as usize;
        let bitmap = (offset > 0).then(|| array.cast::<u8>().add(header));
        let start = if offset > 0 { offset } else { header.next_multiple_of(pg_sys::MAXIMUM_ALIGNOF as usize) };
        let mut at = start;
        (0..count).map(move |i| {
            if bitmap.is_some_and(|bitmap| *bitmap.add(i / 8) & (1 << (i % 8)) == 0) {
                return None;
            }
            let element = array.cast::<u8>().add(at);
            at = (at + pgrx::varlena::varsize_any(element.cast())).next_multiple_of(4);
            Some(Text::from_datum(Datum::from(element)))
        })
    }
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

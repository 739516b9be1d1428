//! The values of a row as JSON, as `to_jsonb` writes them.

use std::ffi::{CStr, c_int, c_void};

use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, JsonbValue, jbvType};

use crate::pg::jsonb;

/// The conversion of the values of one type. The types that are used most need no call of a function.
pub enum Conversion {
    Text,
    Integer(fn(Datum) -> i64),
    Bool,
    Numeric,
    /// A call of `to_jsonb`, prepared for the type. It lives in the memory context that was current when it was made.
    Function(*mut pg_sys::FmgrInfo),
}

impl Conversion {
    /// Prepares the conversion of a type. It lives as long as the current memory context.
    pub fn of(of: pg_sys::Oid) -> Conversion {
        // SAFETY: looks the type up in the system caches. A domain has the values of its base type.
        let base = unsafe { pg_sys::getBaseType(of) };
        match base {
            pg_sys::TEXTOID | pg_sys::VARCHAROID => Conversion::Text,
            pg_sys::INT2OID => Conversion::Integer(|datum| i64::from(datum.value() as i16)),
            pg_sys::INT4OID => Conversion::Integer(|datum| i64::from(datum.value() as i32)),
            pg_sys::INT8OID => Conversion::Integer(|datum| datum.value() as i64),
            pg_sys::BOOLOID => Conversion::Bool,
            pg_sys::NUMERICOID => Conversion::Numeric,
            _ => Conversion::Function(to_jsonb(of)),
        }
    }

    /// Converts a value, in the current memory context.
    ///
    /// # Safety
    /// `datum` must be a value of the type that the conversion was made for, and not null.
    pub unsafe fn convert(&self, datum: Datum) -> Json {
        // SAFETY: promised by the caller. The results are palloc'd, or part of the detoasted datum.
        unsafe {
            match self {
                Conversion::Text => {
                    let text: *mut pg_sys::varlena = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
                    let bytes = pgrx::varlena::varlena_to_byte_slice(text);
                    Json { value: string(bytes), size: bytes.len() }
                }
                Conversion::Integer(read) => number(pg_sys::int64_to_numeric(read(datum))),
                Conversion::Bool => {
                    let mut value = JsonbValue { type_: jbvType::jbvBool, ..Default::default() };
                    value.val.boolean = datum.value() != 0;
                    Json { value, size: 1 }
                }
                Conversion::Numeric => {
                    let numeric: pg_sys::Numeric = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
                    if pg_sys::numeric_is_nan(numeric) || pg_sys::numeric_is_inf(numeric) {
                        return text_of(pg_sys::NUMERICOID, datum);
                    }
                    number(numeric)
                }
                Conversion::Function(function) => {
                    let made = pg_sys::FunctionCall1Coll(*function, pg_sys::InvalidOid, datum);
                    of_jsonb(made)
                }
            }
        }
    }
}

/// A converted value, and an upper bound of the bytes that it takes, or of its digits if it is a number.
pub struct Json {
    pub value: JsonbValue,
    pub size: usize,
}

impl Json {
    /// Returns the value null.
    pub fn null() -> Json {
        Json { value: JsonbValue { type_: jbvType::jbvNull, ..Default::default() }, size: 0 }
    }
}

/// Returns a string that borrows its bytes.
pub fn string(bytes: &[u8]) -> JsonbValue {
    let mut value = JsonbValue { type_: jbvType::jbvString, ..Default::default() };
    value.val.string.len = bytes.len() as c_int;
    value.val.string.val = bytes.as_ptr().cast_mut().cast();
    value
}

/// Returns an integer as a value.
pub fn integer(value: i64) -> JsonbValue {
    // SAFETY: returns a palloc'd numeric.
    number(unsafe { pg_sys::int64_to_numeric(value) }).value
}

/// Returns a value in the form that its type prints.
///
/// # Safety
/// `datum` must be a non-null value of the type.
pub unsafe fn text(of: pg_sys::Oid, datum: Datum) -> String {
    let (mut output, mut is_varlena) = (pg_sys::InvalidOid, false);
    // SAFETY: promised by the caller. An output function returns a palloc'd C string.
    unsafe {
        pg_sys::getTypeOutputInfo(of, &raw mut output, &raw mut is_varlena);
        let text = pg_sys::OidOutputFunctionCall(output, datum);
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        pg_sys::pfree(text.cast());
        copy
    }
}

unsafe fn text_of(of: pg_sys::Oid, datum: Datum) -> Json {
    // SAFETY: promised by the caller. The copy lives in the current memory context.
    let text = crate::pg::values::Text::new(&unsafe { text(of, datum) }).datum();
    // SAFETY: the datum is the text that was made above.
    unsafe { Conversion::Text.convert(text) }
}

fn number(numeric: pg_sys::Numeric) -> Json {
    let mut value = JsonbValue { type_: jbvType::jbvNumeric, ..Default::default() };
    value.val.numeric = numeric;
    // SAFETY: a numeric is a varlena with a header of four bytes.
    let bytes = unsafe {
        let size = pgrx::varlena::varsize_4b(numeric.cast_const().cast());
        std::slice::from_raw_parts(numeric.cast_const().cast::<u8>(), size)
    };
    Json { value, size: jsonb::digits(bytes).max(bytes.len()) }
}

/// Returns the root of a jsonb as a value. It borrows the jsonb.
///
/// # Safety
/// `datum` must be a non-null jsonb.
pub unsafe fn of_jsonb(datum: Datum) -> Json {
    // SAFETY: promised by the caller. The root follows the header of four bytes. A lone scalar is extracted.
    unsafe {
        let (bytes, _) = crate::pg::values::jsonb_bytes(datum);
        let container = jsonb::Container::new(bytes);
        let root: *mut pg_sys::JsonbContainer = bytes.as_ptr().cast_mut().cast();
        let mut value = JsonbValue::default();
        if !pg_sys::JsonbExtractScalar(root, &raw mut value) {
            value = JsonbValue { type_: jbvType::jbvBinary, ..Default::default() };
            value.val.binary.len = bytes.len() as c_int;
            value.val.binary.data = root;
        }
        Json { value, size: bytes.len().max(container.digits()) }
    }
}

/// Prepares calls of `to_jsonb` with an argument of this type. The function asks the expression of its call for the type.
fn to_jsonb(of: pg_sys::Oid) -> *mut pg_sys::FmgrInfo {
    // SAFETY: the nodes are zeroed, and have the tags and fields that exprType reads of them. All of this lives in the
    // current memory context.
    unsafe {
        let argument: *mut pg_sys::Const = pg_sys::palloc0(size_of::<pg_sys::Const>()).cast();
        (*argument).xpr.type_ = pg_sys::NodeTag::T_Const;
        (*argument).consttype = of;
        let call: *mut pg_sys::FuncExpr = pg_sys::palloc0(size_of::<pg_sys::FuncExpr>()).cast();
        (*call).xpr.type_ = pg_sys::NodeTag::T_FuncExpr;
        (*call).funcid = pg_sys::Oid::from(pg_sys::F_TO_JSONB);
        (*call).args = pg_sys::lappend(std::ptr::null_mut(), argument.cast::<c_void>());
        let function: *mut pg_sys::FmgrInfo = pg_sys::palloc0(size_of::<pg_sys::FmgrInfo>()).cast();
        pg_sys::fmgr_info_cxt((*call).funcid, function, pg_sys::CurrentMemoryContext);
        (*function).fn_expr = call.cast();
        function
    }
}

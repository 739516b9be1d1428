//! Access to the fields of composite values.

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::compat;

/// Returns the fields of a composite value, with None for NULL. Returns None if its type does not have exactly fields
/// of these types. The fields live as long as the value. If the value is compressed or stored out of line, they live as
/// long as the current memory context.
///
/// # Safety
/// `datum` must be a non-null composite value.
pub unsafe fn deform<const N: usize>(datum: Datum, types: &[pg_sys::Oid; N]) -> Option<[Option<Datum>; N]> {
    // SAFETY: promised by the caller. The header of a composite value names its type. The descriptor of that type stays
    // valid until its reference count is decremented. There is room for as many fields as the descriptor has.
    unsafe {
        let header: pg_sys::HeapTupleHeader = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
        let fields = (*header).t_choice.t_datum;
        let descriptor = pg_sys::lookup_rowtype_tupdesc(fields.datum_typeid, fields.datum_typmod);
        let attributes = compat::attributes(descriptor);
        let is_ours =
            attributes.len() == N && attributes.iter().zip(types).all(|(attribute, oid)| attribute.atttypid == *oid);
        let values = is_ours.then(|| {
            let mut tuple = pg_sys::HeapTupleData {
                t_len: pgrx::varlena::varsize_4b(header.cast()) as u32,
                t_data: header,
                ..Default::default()
            };
            let mut values = [Datum::null(); N];
            let mut nulls = [true; N];
            pg_sys::heap_deform_tuple(&raw mut tuple, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            std::array::from_fn(|i| (!nulls[i]).then_some(values[i]))
        });
        if (*descriptor).tdrefcount >= 0 {
            pg_sys::DecrTupleDescRefCount(descriptor);
        }
        values
    }
}

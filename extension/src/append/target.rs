//! Finding events by target: `audit_internal.target_keys`, which the index of a partition is over, `audit_internal.has_target`, which a query
//! asks for, and what tells the planner how the two belong together.

use std::ffi::c_int;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

sql_function!(audit_target_keys, pg_finfo_audit_target_keys, target_keys);

sql_function!(audit_has_target, pg_finfo_audit_has_target, has_target);
sql_function!(audit_has_target_support, pg_finfo_audit_has_target_support, has_target_support);

/// `audit_internal.target_keys(workspace, targets)`: a number for each target, drawn from workspace and target. Different ones may
/// share a number: whoever finds an event by it compares the targets, too.
fn target_keys(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let seed = arguments.text(0).map_or(0, seed);
    let Some(targets) = arguments.datum(1) else { return Ok(None) };
    // SAFETY: declared as text[].
    let targets = unsafe { values::text_array_elements(targets) };
    let keys: Vec<i64> = targets.flatten().map(|target| hash(target, seed) as i64).collect();
    Ok(Some(values::bigint_array(&keys)))
}

/// `audit_internal.has_target(keys, workspace, targets, in_workspace, target)`: whether the workspaces are the same and `target` is
/// among the targets. The keys are for the planner.
fn has_target(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let (Some(targets), Some(wanted)) = (arguments.datum(TARGETS), arguments.text(TARGET)) else {
        return Ok(None);
    };
    let workspace = |index| arguments.text(index).map(|text| text.value());
    if workspace(WORKSPACE) != workspace(IN_WORKSPACE) {
        return Ok(Some(Datum::from(false)));
    }
    // SAFETY: declared as text[].
    let targets = unsafe { values::text_array_elements(targets) };
    Ok(Some(Datum::from(targets.flatten().any(|target| target.value() == wanted.value()))))
}

/// The arguments of has_target.
const KEYS: usize = 0;
const WORKSPACE: usize = 1;
const TARGETS: usize = 2;
const IN_WORKSPACE: usize = 3;
const TARGET: usize = 4;

/// `audit_internal.has_target_support(internal)`, the planner's support function of has_target (PostgreSQL documentation, "Function
/// Optimization Information"): which indexes find the rows, and how many they are.
fn has_target_support(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let request: *mut pg_sys::Node = arguments.datum(0).map_or(std::ptr::null_mut(), |datum| datum.cast_mut_ptr());
    // SAFETY: the planner passes a request, whose node tag tells its kind.
    let answer = unsafe {
        match request.as_ref().map(|request| request.type_) {
            Some(pg_sys::NodeTag::T_SupportRequestIndexCondition) => index_condition(&mut *request.cast()),
            Some(pg_sys::NodeTag::T_SupportRequestSelectivity) => selectivity(&mut *request.cast()),
            _ => None,
        }
    };
    Ok(Some(answer.unwrap_or(Datum::from(0usize))))
}

/// `keys @> {the number of the target}` for the index over the keys, `workspace = in_workspace` for those that begin with the
/// workspace; the function itself is checked for each row that an index finds. That both come from one condition also
/// keeps the planner from intersecting the indexes: it would believe that few rows are in both.
///
/// # Safety
/// To be called with a request of the planner's.
unsafe fn index_condition(request: &mut pg_sys::SupportRequestIndexCondition) -> Option<Datum> {
    // SAFETY: the request's node is the call of has_target that the planner looks at.
    unsafe {
        if (*request.node).type_ != pg_sys::NodeTag::T_FuncExpr {
            return None;
        }
        let call = Call { arguments: (*request.node.cast::<pg_sys::FuncExpr>()).args };
        let (operator, condition) = match request.indexarg as usize {
            KEYS => (CONTAINS, call.keys_contain()?),
            WORKSPACE => (TEXT_EQUALS, call.workspace_equals(request.indexcollation)?),
            _ => return None,
        };
        if !pg_sys::op_in_opfamily(operator, request.opfamily) {
            return None;
        }
        request.lossy = true;
        Some(Datum::from(pg_sys::lappend(std::ptr::null_mut(), condition.cast())))
    }
}

/// The share of events that have the target, which the keys of a workspace tell.
///
/// # Safety
/// As [`index_condition`].
unsafe fn selectivity(request: &mut pg_sys::SupportRequestSelectivity) -> Option<Datum> {
    // SAFETY: the planner's own estimate of a condition over the arguments of the call.
    unsafe {
        let condition = Call { arguments: request.args }.keys_contain()?;
        request.selectivity =
            pg_sys::clause_selectivity(request.root, condition, request.varRelid, request.jointype, request.sjinfo);
        Some(Datum::from(std::ptr::from_mut(request)))
    }
}

/// A call of has_target in a query.
struct Call {
    arguments: *mut pg_sys::List,
}

impl Call {
    /// # Safety
    /// These functions may be called with the arguments of a call of has_target, within the planner.
    unsafe fn keys_contain(&self) -> Option<*mut pg_sys::Node> {
        // SAFETY: makes nodes of the types that the operator is declared with.
        unsafe {
            let key = hash(self.text(TARGET)?, seed(self.text(IN_WORKSPACE)?)) as i64;
            let keys = pg_sys::makeConst(
                pg_sys::INT8ARRAYOID,
                -1,
                pg_sys::InvalidOid,
                -1,
                values::bigint_array(&[key]),
                false,
                false,
            );
            Some(condition(CONTAINS, self.argument(KEYS)?, keys.cast(), pg_sys::InvalidOid))
        }
    }

    /// None where the index is in another collation, or what to compare with is no constant: an index is searched by what is
    /// known before its rows are.
    unsafe fn workspace_equals(&self, index_collation: pg_sys::Oid) -> Option<*mut pg_sys::Node> {
        // SAFETY: both are texts.
        unsafe {
            let column = self.argument(WORKSPACE)?;
            self.text(IN_WORKSPACE)?;
            let same = pg_sys::exprCollation(column) == index_collation;
            same.then_some(condition(TEXT_EQUALS, column, self.argument(IN_WORKSPACE)?, index_collation))
        }
    }

    /// The value of an argument that is a constant.
    unsafe fn text(&self, index: usize) -> Option<Text<'_>> {
        // SAFETY: has_target declares it as text; the constant lives as long as the query.
        unsafe {
            let argument = self.argument(index)?;
            let constant: *const pg_sys::Const = argument.cast();
            let known = (*argument).type_ == pg_sys::NodeTag::T_Const && !(*constant).constisnull;
            known.then(|| Text::from_datum((*constant).constvalue))
        }
    }

    unsafe fn argument(&self, index: usize) -> Option<*mut pg_sys::Node> {
        // SAFETY: a list of nodes.
        unsafe {
            let list = self.arguments.as_ref()?;
            (index < list.length as usize).then(|| (*list.elements.add(index)).ptr_value.cast())
        }
    }
}

/// # Safety
/// The operands have the types of the operator.
unsafe fn condition(
    operator: pg_sys::Oid,
    left: *mut pg_sys::Node,
    right: *mut pg_sys::Node,
    collation: pg_sys::Oid,
) -> *mut pg_sys::Node {
    // SAFETY: promised by the caller.
    unsafe {
        let (left, right) = (left.cast(), right.cast());
        let clause =
            pg_sys::make_opclause(operator, pg_sys::BOOLOID, false, left, right, pg_sys::InvalidOid, collation);
        pg_sys::set_opfuncid(clause.cast());
        clause.cast()
    }
}

/// `anyarray @> anyarray`
const CONTAINS: pg_sys::Oid = pg_sys::Oid::from_u32(pg_sys::OID_ARRAY_CONTAINS_OP);
/// `text = text`
const TEXT_EQUALS: pg_sys::Oid = pg_sys::Oid::from_u32(pg_sys::TextEqualOperator);

fn seed(workspace: Text<'_>) -> u64 {
    hash(workspace, 0)
}

fn hash(text: Text<'_>, seed: u64) -> u64 {
    let bytes = text.value().as_bytes();
    // SAFETY: exported by the server with this signature since version 13, not bound by pgrx; reads as many bytes as it is
    // told and raises nothing.
    unsafe { hash_bytes_extended(bytes.as_ptr(), bytes.len() as c_int, seed) }
}

unsafe extern "C-unwind" {
    fn hash_bytes_extended(bytes: *const u8, length: c_int, seed: u64) -> u64;
}

//! Finding events by what an application knows of them: `audit_internal.content_keys`, which the index of a partition is over,
//! `audit_internal.found_by_keys`, which a query asks for, and the planner support that leads from the one to the other.

use std::ffi::c_int;
use std::iter;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::check::shorten;
use crate::append::network::Network;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

sql_function!(audit_content_keys, pg_finfo_audit_content_keys, content_keys);
sql_function!(audit_wanted_keys, pg_finfo_audit_wanted_keys, wanted_keys);
sql_function!(audit_networks, pg_finfo_audit_networks, networks);

sql_function!(audit_found_by_keys, pg_finfo_audit_found_by_keys, found_by_keys);
sql_function!(audit_found_by_keys_support, pg_finfo_audit_found_by_keys_support, found_by_keys_support);
sql_function!(audit_key_share, pg_finfo_audit_key_share, key_share);

/// `audit_internal.content_keys(workspace, targets, request_id, session_id, ip)`: a number for each target, for the request, for
/// the session, and for each network that [`Network::around`] names. A query that finds an event by a number compares the
/// value, too, because different values may share a number.
fn content_keys(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let seed = arguments.text(0).map_or(0, seed);
    let mut keys = Vec::new();
    if let Some(targets) = arguments.datum(1) {
        // SAFETY: the argument is declared as text[].
        let targets = unsafe { values::text_array_elements(targets) };
        keys.extend(targets.flatten().map(|target| Field::Target.key(target.value(), seed)));
    }
    keys.extend(arguments.text(2).map(|request| Field::RequestId.key(request.value(), seed)));
    keys.extend(arguments.text(3).map(|session| Field::SessionId.key(session.value(), seed)));
    if let Some(ip) = arguments.datum(4) {
        // SAFETY: the argument is declared as inet.
        let ip = unsafe { values::inet_address(ip) };
        keys.extend(Network::around(ip).map(|network| network_key(network, seed)));
    }
    Ok(Some(values::bigint_array(&keys)))
}

/// `audit_internal.wanted_keys(workspace, field, values)`: the numbers that lead to the events whose field has one of the values.
/// None if a network is too large.
fn wanted_keys(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let (Some(workspace), Some(field), Some(wanted)) = (arguments.text(0), arguments.text(1), arguments.datum(2))
    else {
        return Ok(None);
    };
    let seed = seed(workspace);
    // SAFETY: the argument is declared as text[].
    let wanted = unsafe { values::text_array_elements(wanted) }.flatten();
    let field = match field.value() {
        "target" => Field::Target,
        "request_id" => Field::RequestId,
        "session_id" => Field::SessionId,
        "ip" => {
            let mut keys = Vec::new();
            for network in wanted {
                let Some(cover) = parse_network(network.value())?.cover() else { return Ok(None) };
                keys.extend(cover.map(|network| network_key(network, seed)));
            }
            keys.sort_unstable();
            keys.dedup();
            return Ok(Some(values::bigint_array(&keys)));
        }
        _ => return Ok(None),
    };
    let keys: Vec<i64> = wanted.map(|value| field.key(value.value(), seed)).collect();
    Ok(Some(values::bigint_array(&keys)))
}

/// `audit_internal.networks(values)`: each address or range as a network, an IPv4 network followed by the IPv4-mapped network of
/// IPv6: an application may store an address in either form.
fn networks(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let Some(wanted) = arguments.datum(0) else { return Ok(None) };
    let mut networks = Vec::new();
    // SAFETY: the argument is declared as text[].
    for wanted in unsafe { values::text_array_elements(wanted) }.flatten() {
        let network = parse_network(wanted.value())?;
        networks.extend(iter::once(network.to_string()).chain(network.mapped()));
    }
    let networks: Vec<Text<'_>> = networks.iter().map(|network| Text::new(network)).collect();
    Ok(Some(values::text_array(&networks)))
}

fn parse_network(text: &str) -> Result<Network, Error> {
    text.parse().map_err(|()| Error::InvalidValue {
        name: "ip",
        problem: format!("\"{}\" is not an address or a CIDR range", shorten(text)),
        hint: "Pass an address such as 192.0.2.7 or a range such as 192.0.2.0/24 or 2001:db8::/32.",
    })
}

/// `audit_internal.found_by_keys(keys, workspace, in_workspace, wanted, matches)`: whether the workspaces are the same and `matches`
/// is true. The keys are for the planner.
fn found_by_keys(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let text = |index| arguments.text(index).map(|text| text.value());
    let is_same = text(WORKSPACE) == text(IN_WORKSPACE);
    let matches = arguments.datum(MATCHES).is_some_and(|matches| matches.value() != 0);
    Ok(Some(Datum::from(is_same && matches)))
}

/// The arguments of found_by_keys.
const KEYS: usize = 0;
const WORKSPACE: usize = 1;
const IN_WORKSPACE: usize = 2;
const WANTED: usize = 3;
const MATCHES: usize = 4;

/// `audit_internal.found_by_keys_support(internal)`, the planner's support function of found_by_keys (PostgreSQL documentation, "Function
/// Optimization Information"). It tells which indexes find the rows, and how many rows there are.
fn found_by_keys_support(arguments: &Arguments) -> Result<Option<Datum>, Error> {
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

/// Returns `keys && wanted` for the index over the keys, with the operator of its family. For the indexes that begin with the
/// workspace, returns `workspace = in_workspace`. PostgreSQL also calls the function for each row that an index finds. Because
/// both come from one condition, the planner does not intersect the indexes. It would expect too few rows in both.
///
/// # Safety
/// `request` must be a request of the planner.
unsafe fn index_condition(request: &mut pg_sys::SupportRequestIndexCondition) -> Option<Datum> {
    // SAFETY: promised by the caller. The node of the request is the call of found_by_keys that the planner examines.
    unsafe {
        if (*request.node).type_ != pg_sys::NodeTag::T_FuncExpr {
            return None;
        }
        let call = Call { arguments: (*request.node.cast::<pg_sys::FuncExpr>()).args };
        let condition = match request.indexarg as usize {
            KEYS => {
                let array = pg_sys::INT8ARRAYOID;
                let operator = pg_sys::get_opfamily_member(request.opfamily, array, array, KEY_STRATEGY);
                if operator == pg_sys::InvalidOid {
                    return None;
                }
                condition(operator, call.argument(KEYS)?, call.constant(WANTED)?, pg_sys::InvalidOid)
            }
            WORKSPACE if pg_sys::op_in_opfamily(TEXT_EQUALS, request.opfamily) => {
                call.workspace_equals(request.indexcollation)?
            }
            _ => return None,
        };
        request.lossy = true;
        Some(Datum::from(pg_sys::lappend(std::ptr::null_mut(), condition.cast())))
    }
}

/// Estimates the share of events that found_by_keys finds as that of its keys. The workspace is part of each key.
///
/// # Safety
/// As [`index_condition`].
unsafe fn selectivity(request: &mut pg_sys::SupportRequestSelectivity) -> Option<Datum> {
    // SAFETY: promised by the caller. The planner estimates conditions over the arguments of the call.
    unsafe {
        let call = Call { arguments: request.args };
        request.selectivity =
            share_with_keys(request.root, call.argument(KEYS)?, call.constant(WANTED)?, request.varRelid)?;
        Some(Datum::from(std::ptr::from_mut(request)))
    }
}

/// `audit_internal.key_share(internal, oid, internal, integer)`, the estimate of the operator that the index over the keys serves.
/// Without it, the planner would expect more rows of the index than of the condition, and not use the index.
fn key_share(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let root = arguments.datum(0).map_or(std::ptr::null_mut(), |datum| datum.cast_mut_ptr());
    let operands = arguments.datum(2).map_or(std::ptr::null_mut(), |datum| datum.cast_mut_ptr());
    let relation = arguments.datum(3).map_or(0, |datum| datum.value() as c_int);
    // SAFETY: the planner passes itself, the operands, and the relation whose columns are unknown.
    let share = unsafe {
        let call = Call { arguments: operands };
        call.argument(0).zip(call.constant(1)).and_then(|(keys, wanted)| share_with_keys(root, keys, wanted, relation))
    };
    Ok(Some(Datum::from(share.unwrap_or(UNKNOWN_SHARE).to_bits())))
}

/// Estimates the share of events that have one of the wanted keys.
///
/// The statistics hold frequent keys only. For PostgreSQL every other key is half as frequent as the rarest of them. Most of those
/// that a range stands for do not exist, so together they count as one. If the statistics know none of the wanted keys, the
/// share is smaller still ([`RARE`]). A key that few events have would else be searched in the order of time.
///
/// # Safety
/// The function must be called within the planner. `keys` must be of type bigint[], and `wanted` a constant of that type.
unsafe fn share_with_keys(
    root: *mut pg_sys::PlannerInfo,
    keys: *mut pg_sys::Node,
    wanted: *mut pg_sys::Node,
    relation: c_int,
) -> Option<f64> {
    // SAFETY: promised by the caller. Both operands are arrays of one type, for which the operator is declared.
    unsafe {
        let others =
            values::bigint_array_elements((*wanted.cast::<pg_sys::Const>()).constvalue)?.len().saturating_sub(1);
        let share = |wanted| {
            let condition = condition(OVERLAPS, keys, wanted, pg_sys::InvalidOid);
            pg_sys::clause_selectivity(root, condition, relation, pg_sys::JoinType::JOIN_INNER, std::ptr::null_mut())
        };
        let all = share(wanted);
        let unknown = share(bigint_array_constant(&[0])).min(0.5);
        let share = 1.0 - (1.0 - all) / (1.0 - unknown).powi(others as i32);
        // A key that the statistics know is at least twice as frequent as one that they do not.
        Some(if share < 1.5 * unknown { RARE * unknown } else { share.min(all) })
    }
}

/// A call of found_by_keys, or of the operator of the index, in a query.
struct Call {
    arguments: *mut pg_sys::List,
}

impl Call {
    /// None if the index is in another collation, or the workspace to compare with is no constant: an index is searched by what
    /// is known before its rows are.
    ///
    /// # Safety
    /// The functions below must be called within the planner, with the arguments of a call of found_by_keys.
    unsafe fn workspace_equals(&self, index_collation: pg_sys::Oid) -> Option<*mut pg_sys::Node> {
        // SAFETY: both arguments are texts.
        unsafe {
            let column = self.argument(WORKSPACE)?;
            let same = pg_sys::exprCollation(column) == index_collation;
            let workspace = self.constant(IN_WORKSPACE)?;
            same.then(|| condition(TEXT_EQUALS, column, workspace, index_collation))
        }
    }

    /// An argument that is a constant and not NULL.
    unsafe fn constant(&self, index: usize) -> Option<*mut pg_sys::Node> {
        // SAFETY: the node tag tells whether the argument is a Const.
        unsafe {
            let argument = self.argument(index)?;
            let constant: *const pg_sys::Const = argument.cast();
            ((*argument).type_ == pg_sys::NodeTag::T_Const && !(*constant).constisnull).then_some(argument)
        }
    }

    unsafe fn argument(&self, index: usize) -> Option<*mut pg_sys::Node> {
        // SAFETY: the arguments are a list of nodes.
        unsafe {
            let list = self.arguments.as_ref()?;
            (index < list.length as usize).then(|| (*list.elements.add(index)).ptr_value.cast())
        }
    }
}

/// Makes a constant of type bigint[].
///
/// # Safety
/// The function must be called within the planner.
unsafe fn bigint_array_constant(keys: &[i64]) -> *mut pg_sys::Node {
    // SAFETY: the datum is of the type that the constant is declared with; it lives as long as the query.
    unsafe {
        let array = values::bigint_array(keys);
        pg_sys::makeConst(pg_sys::INT8ARRAYOID, -1, pg_sys::InvalidOid, -1, array, false, false).cast()
    }
}

/// # Safety
/// The operands must have the types of the operator.
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

/// `anyarray && anyarray`
const OVERLAPS: pg_sys::Oid = pg_sys::Oid::from_u32(pg_sys::OID_ARRAY_OVERLAP_OP);
/// The number of the operator in audit_internal.key_ops.
const KEY_STRATEGY: i16 = 1;
/// How frequent keys without statistics are, in terms of PostgreSQL's estimate for one of them.
const RARE: f64 = 0.2;
/// The share of events with a key that the query does not tell the planner.
const UNKNOWN_SHARE: f64 = 0.001;
/// `text = text`
const TEXT_EQUALS: pg_sys::Oid = pg_sys::Oid::from_u32(pg_sys::TextEqualOperator);

/// What a key is of. The same text as a target and as a session has different keys.
#[derive(Clone, Copy)]
enum Field {
    Target = 0,
    RequestId = 1,
    SessionId = 2,
    Ip = 3,
}

impl Field {
    fn key(self, value: &str, seed: u64) -> i64 {
        hash(value.as_bytes(), seed ^ self as u64) as i64
    }
}

fn network_key(network: Network, seed: u64) -> i64 {
    hash(&network.bytes(), seed ^ Field::Ip as u64) as i64
}

fn seed(workspace: Text<'_>) -> u64 {
    hash(workspace.value().as_bytes(), 0)
}

fn hash(bytes: &[u8], seed: u64) -> u64 {
    // SAFETY: the server exports this function with this signature, and pgrx does not bind it. It reads
    // `length` bytes and raises no error.
    unsafe { hash_bytes_extended(bytes.as_ptr(), bytes.len() as c_int, seed) }
}

unsafe extern "C-unwind" {
    fn hash_bytes_extended(bytes: *const u8, length: c_int, seed: u64) -> u64;
}

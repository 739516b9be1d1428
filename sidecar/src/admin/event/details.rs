//! The details of an event, as people read them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::admin::diff::{self, Diff};
use crate::admin::tree::{self, Tree};

/// The details of an event.
pub struct Details {
    /// Parts that belong side by side: what was asked, and what was answered.
    pub exchange: Option<Exchange>,
    /// The changes, if the details have a state before and after.
    pub diff: Option<Diff>,
    /// All details.
    pub tree: Tree,
}

/// A request to another system, and its response.
pub struct Exchange {
    pub request: Tree,
    pub response: Tree,
}

impl Details {
    /// Reads details, which are a JSON object. Values link to the address `log` with a further filter.
    pub fn new(text: &str, log: &str) -> Self {
        let parts = serde_json::from_str::<BTreeMap<String, &RawValue>>(text).unwrap_or_default();
        let pair = |(left, right): &(&str, &str)| Some((parts.get(*left)?.get(), parts.get(*right)?.get()));
        // A value of a part alone would not be a filter of the details, so the parts have no links.
        let exchange = EXCHANGES.iter().find_map(pair);
        let exchange = exchange
            .map(|(request, response)| Exchange { request: tree::plain(request), response: tree::plain(response) });
        let diff = CHANGES.iter().find_map(pair).map(|(before, after)| diff::diff(before, after));
        Self { exchange, diff, tree: tree::tree(text, log) }
    }
}

/// Keys of a request and its response. The first pair that is there counts.
const EXCHANGES: [(&str, &str); 2] = [("request", "response"), ("request", "response_status")];

/// Keys of the state before and after a change.
const CHANGES: [(&str, &str); 3] = [("before", "after"), ("from", "to"), ("old", "new")];

//! The decisions of a definition. They are kept, because a malicious pack can have many long rules and many lines.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::pack::definition::Definition;

/// Maximum number of decisions that are kept.
const KEPT: usize = 10_000;

/// A definition with its decisions so far.
pub(super) struct Selection<'a> {
    definition: &'a Definition,
    decisions: RefCell<HashMap<[String; 3], bool>>,
}

impl<'a> Selection<'a> {
    /// Creates the selection of a definition.
    pub fn new(definition: &'a Definition) -> Self {
        Self { definition, decisions: RefCell::default() }
    }

    /// Returns whether the definition names events of this action, category and outcome.
    pub fn includes(&self, action: &str, category: &str, outcome: &str) -> bool {
        let key = [action, category, outcome].map(str::to_owned);
        let mut decisions = self.decisions.borrow_mut();
        if let Some(known) = decisions.get(&key) {
            return *known;
        }
        let decision = self.definition.includes(action, category, outcome);
        if decisions.len() < KEPT {
            decisions.insert(key, decision);
        }
        decision
    }
}

//! Masking of secrets in details. It happens before they are stored. The rules are those of `audit_masking`.

use std::cell::RefCell;

use audit_masking::{Keys, Node, Replacement, Tree, replacements};
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::jsonb::{self, Container, Elements, Pairs, Value};
use crate::settings;

/// Details whose secrets are masked.
pub struct Masked {
    /// The jsonb to store.
    pub datum: Datum,
    /// The number of secrets that were masked.
    pub secrets: u32,
}

/// Masks the secrets in details. The result has `datum` itself if there is nothing to mask.
pub fn mask(container: Container<'_>, datum: Datum) -> Masked {
    RULES.with_borrow_mut(|rules| {
        rules.refresh();
        if rules.keys.is_empty() {
            return Masked { datum, secrets: 0 };
        }
        let found = replacements(container, &mut rules.keys);
        if found.is_empty() {
            return Masked { datum, secrets: 0 };
        }
        let secrets =
            found.iter().map(|replacement| replacement.secrets).fold(0, u32::saturating_add).min(MOST_SECRETS);
        Masked { datum: rebuild(container, &found), secrets }
    })
}

/// The largest number that `proof/FORMAT.md` can write.
const MOST_SECRETS: u32 = 999_999_999;

thread_local! {
    static RULES: RefCell<Rules> = RefCell::default();
}

/// The rules of the settings `audit.masked_keys` and `audit.unmasked_keys`.
#[derive(Default)]
struct Rules {
    /// The value of [`settings::list_changes`] for which the rules hold.
    changes: u64,
    keys: Keys,
}

impl Rules {
    fn refresh(&mut self) {
        let changes = settings::list_changes();
        if changes != self.changes {
            self.keys = Keys::new(&settings::masked_keys(), &settings::unmasked_keys());
            self.changes = changes;
        }
    }
}

impl<'a> Tree<'a> for Container<'a> {
    type Keys = jsonb::Keys<'a>;
    type Pairs = Nodes<Pairs<'a>>;
    type Elements = Nodes<Elements<'a>>;

    fn keys(self) -> Self::Keys {
        Container::keys(&self)
    }

    fn pairs(self) -> Self::Pairs {
        Nodes(Container::pairs(&self))
    }

    fn elements(self) -> Self::Elements {
        Nodes(Container::elements(&self))
    }
}

/// The values of a container as nodes.
pub struct Nodes<I>(I);

impl<'a> Iterator for Nodes<Pairs<'a>> {
    type Item = (&'a str, Node<'a, Container<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key, node(value)))
    }
}

impl<'a> Iterator for Nodes<Elements<'a>> {
    type Item = Node<'a, Container<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(node)
    }
}

fn node(value: Value<'_>) -> Node<'_, Container<'_>> {
    match value {
        Value::Null | Value::Bool => Node::Literal,
        Value::Number(_) => Node::Number,
        Value::String(text) => Node::String(text),
        Value::Container(container) if container.is_object() => Node::Object(container),
        Value::Container(container) => Node::Array(container),
    }
}

/// Builds the masked jsonb with PostgreSQL's own iterator and builder, so that numbers keep their form.
fn rebuild(container: Container<'_>, replacements: &[Replacement]) -> Datum {
    use pg_sys::JsonbIteratorToken as Token;

    let mut pending = replacements.iter().peekable();
    let mut scalar = 0;
    // SAFETY: the container is the 4-byte aligned content of a jsonb that outlives this call. JsonbIteratorNext writes
    // `value` before it is read. The texts of the replacements live until JsonbValueToJsonb has copied them.
    unsafe {
        let mut state: *mut pg_sys::JsonbParseState = std::ptr::null_mut();
        let mut iterator = pg_sys::JsonbIteratorInit(container.bytes().as_ptr().cast_mut().cast());
        let mut value = pg_sys::JsonbValue::default();
        let mut result = std::ptr::null_mut();
        loop {
            let token = pg_sys::JsonbIteratorNext(&mut iterator, &mut value, false);
            let pushed = match token {
                Token::WJB_DONE => break,
                Token::WJB_KEY => &raw mut value,
                Token::WJB_VALUE | Token::WJB_ELEM => {
                    if let Some(replacement) = pending.next_if(|replacement| replacement.scalar == scalar) {
                        value = string_value(&replacement.text);
                    }
                    scalar += 1;
                    &raw mut value
                }
                _ => std::ptr::null_mut(),
            };
            result = pg_sys::pushJsonbValue(&mut state, token, pushed);
        }
        Datum::from(pg_sys::JsonbValueToJsonb(result))
    }
}

/// Returns the string as a value that borrows it.
fn string_value(text: &str) -> pg_sys::JsonbValue {
    let mut value = pg_sys::JsonbValue { type_: pg_sys::jbvType::jbvString, ..Default::default() };
    value.val.string.len = text.len() as i32;
    value.val.string.val = text.as_ptr().cast_mut().cast();
    value
}

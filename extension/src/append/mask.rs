//! Masking of secrets in details. It happens before they are stored.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::jsonb::{Container, Value};
use crate::settings;

/// The replacement of a masked value.
const MASK: &str = "***";

/// The number of keys whose result is cached. Applications use few keys.
const REMEMBERED_KEYS: usize = 4096;

/// The maximum length of a cached key, in bytes. Longer keys are matched each time, so that the cache stays small.
const REMEMBERED_KEY_BYTES: usize = 200;

/// Replaces every string, number, array and object under a secret key by `"***"`, at any depth. The values true, false
/// and null are no secrets. Returns `datum` itself if there is nothing to mask.
pub fn mask(container: Container<'_>, datum: Datum) -> Datum {
    KEYS.with_borrow_mut(|keys| {
        keys.refresh();
        if keys.patterns.is_empty() || !keys.occur_in(container) { datum } else { rebuild(container, keys) }
    })
}

thread_local! {
    static KEYS: RefCell<Keys> = RefCell::default();
}

/// The parsed setting `audit.masked_keys`, and the cached results.
#[derive(Default)]
struct Keys {
    setting: String,
    patterns: Vec<Pattern>,
    verdicts: HashMap<String, bool>,
}

struct Pattern {
    text: String,
    open_start: bool,
    open_end: bool,
}

impl Pattern {
    fn matches(&self, key: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => key == self.text,
            (true, false) => key.ends_with(&self.text),
            (false, true) => key.starts_with(&self.text),
            (true, true) => key.contains(&self.text),
        }
    }
}

impl Keys {
    fn refresh(&mut self) {
        let setting = settings::masked_keys();
        if setting == self.setting {
            return;
        }
        self.patterns = setting
            .split(',')
            .map(str::trim)
            .map(|word| Pattern {
                text: normalise(word.trim_matches('*')),
                open_start: word.starts_with('*'),
                open_end: word.ends_with('*'),
            })
            .filter(|pattern| !pattern.text.is_empty())
            .collect();
        self.verdicts.clear();
        self.setting = setting;
    }

    fn matches(&mut self, key: &str) -> bool {
        if let Some(&verdict) = self.verdicts.get(key) {
            return verdict;
        }
        let normal = normalise(key);
        let verdict = self.patterns.iter().any(|pattern| pattern.matches(&normal));
        if key.len() <= REMEMBERED_KEY_BYTES {
            if self.verdicts.len() == REMEMBERED_KEYS {
                self.verdicts.clear();
            }
            self.verdicts.insert(key.to_owned(), verdict);
        }
        verdict
    }

    /// Returns whether there is anything to mask. The stack is explicit, because details may be nested deeply.
    fn occur_in(&mut self, root: Container<'_>) -> bool {
        let mut open = vec![root];
        while let Some(container) = open.pop() {
            if container.is_object() {
                for (key, value) in container.pairs() {
                    if is_maskable(value) && self.matches(key) {
                        return true;
                    }
                }
            }
            open.extend(container.values().filter_map(|value| match value {
                Value::Container(inner) => Some(inner),
                _ => None,
            }));
        }
        false
    }
}

fn is_maskable(value: Value<'_>) -> bool {
    !matches!(value, Value::Null | Value::Bool)
}

/// Returns the letters and digits of the key in lower case. `X-Api-Key`, `apiKey` and `API_KEY` thus become one key.
fn normalise(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Builds the masked jsonb with PostgreSQL's own iterator and builder, so that numbers keep their form.
fn rebuild(container: Container<'_>, keys: &mut Keys) -> Datum {
    use pg_sys::JsonbIteratorToken as Token;

    // SAFETY: the container is the 4-byte aligned content of a jsonb that outlives this call. JsonbIteratorNext writes
    // `value` before it is read. The union in it is read as its type tag says.
    unsafe {
        let mut state: *mut pg_sys::JsonbParseState = std::ptr::null_mut();
        let mut iterator = pg_sys::JsonbIteratorInit(container.bytes().as_ptr().cast_mut().cast());
        let mut value = pg_sys::JsonbValue::default();
        let mut mask = string_value(MASK);
        let mut result = std::ptr::null_mut();
        let mut in_masked_pair = false;
        loop {
            let token = pg_sys::JsonbIteratorNext(&mut iterator, &mut value, in_masked_pair);
            match token {
                Token::WJB_DONE => break,
                Token::WJB_KEY => {
                    let key = value.val.string;
                    let bytes = std::slice::from_raw_parts(key.val.cast::<u8>(), key.len as usize);
                    in_masked_pair = keys.matches(std::str::from_utf8_unchecked(bytes));
                    result = pg_sys::pushJsonbValue(&mut state, token, &mut value);
                }
                Token::WJB_VALUE if in_masked_pair => {
                    in_masked_pair = false;
                    let harmless = matches!(value.type_, pg_sys::jbvType::jbvNull | pg_sys::jbvType::jbvBool);
                    let shown = if harmless { &mut value } else { &mut mask };
                    result = pg_sys::pushJsonbValue(&mut state, token, shown);
                }
                Token::WJB_VALUE | Token::WJB_ELEM => {
                    result = pg_sys::pushJsonbValue(&mut state, token, &mut value);
                }
                _ => result = pg_sys::pushJsonbValue(&mut state, token, std::ptr::null_mut()),
            }
        }
        Datum::from(pg_sys::JsonbValueToJsonb(result))
    }
}

fn string_value(text: &'static str) -> pg_sys::JsonbValue {
    let mut value = pg_sys::JsonbValue { type_: pg_sys::jbvType::jbvString, ..Default::default() };
    value.val.string.len = text.len() as i32;
    value.val.string.val = text.as_ptr().cast_mut().cast();
    value
}

//! The walk through a JSON value, which applies the rules of keys and of places.

use crate::MASK;
use crate::keys::{Keys, Verdict};
use crate::text::{self, takes_password};
use crate::{json, opaque};

/// An object or array.
pub trait Tree<'a>: Copy {
    /// The keys of an object.
    type Keys: Iterator<Item = &'a str>;
    /// The pairs of an object, in the order in which its values are counted.
    type Pairs: Iterator<Item = (&'a str, Node<'a, Self>)>;
    /// The elements of an array.
    type Elements: Iterator<Item = Node<'a, Self>>;

    /// Returns the keys of an object.
    fn keys(self) -> Self::Keys;
    /// Returns the pairs of an object.
    fn pairs(self) -> Self::Pairs;
    /// Returns the elements of an array.
    fn elements(self) -> Self::Elements;
}

/// A JSON value.
#[derive(Clone, Copy)]
pub enum Node<'a, T> {
    /// `true`, `false` or `null`.
    Literal,
    /// A number.
    Number,
    /// A string.
    String(&'a str),
    /// An object.
    Object(T),
    /// An array.
    Array(T),
}

/// The text to store in the place of a string or number.
pub struct Replacement {
    /// The position of the value among the scalar values of the tree, counted from 0 in the order of the text.
    pub scalar: usize,
    /// The text.
    pub text: String,
    /// The number of secrets that it hides, at least 1.
    pub secrets: u32,
}

/// Returns the values to replace in an object, in order. A string that equals a secret is the same secret.
pub fn replacements<'a, T: Tree<'a>>(object: T, keys: &mut Keys) -> Vec<Replacement> {
    within(Node::Object(object), keys, 0)
}

/// Returns the values to replace. `depth` counts the JSON texts around the value, each a string of the one around it.
pub fn within<'a, T: Tree<'a>>(root: Node<'a, T>, keys: &mut Keys, depth: u32) -> Vec<Replacement> {
    let mut secrets = Vec::new();
    let found = walk(root, keys, depth, &mut secrets, &[]);
    if secrets.is_empty() { found } else { walk(root, keys, depth, &mut Vec::new(), &secrets) }
}

/// Walks through the value. Adds the strings that are distinct secrets to `secrets`. Strings that are among `known` are
/// secrets, too.
fn walk<'a, T: Tree<'a>>(
    root: Node<'a, T>,
    keys: &mut Keys,
    depth: u32,
    secrets: &mut Vec<&'a str>,
    known: &[&'a str],
) -> Vec<Replacement> {
    let mut walk = Walk { keys, depth, scalar: 0, found: Vec::new(), open: Vec::new(), secrets, known };
    walk.enter(root, None, Place::Open);
    while let Some(frame) = walk.open.last_mut() {
        match &mut frame.rest {
            Rest::Pairs(pairs) => match pairs.next() {
                Some((key, node)) => walk.pair(key, node),
                None => drop(walk.open.pop()),
            },
            Rest::Elements(elements) => match elements.next() {
                Some(node) => walk.element(node),
                None => drop(walk.open.pop()),
            },
        }
    }
    walk.found
}

/// The judgement of the keys around a value.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Nothing.
    Open,
    /// The key nearest to it is masked.
    Secret,
    /// As `Secret`, but a number is a quantity.
    Counted,
    /// A key further out is masked.
    Within,
    /// A key around it is unmasked.
    Kept,
    /// The key nearest to it is weak.
    Weak,
}

/// An object or array that the walk is in. The stack is explicit, because details may be nested deeply.
struct Frame<'a, T: Tree<'a>> {
    rest: Rest<'a, T>,
    /// The place of its values.
    place: Place,
    /// The key that it stands under.
    key: Option<&'a str>,
    form: Form,
    /// The last string, if it may name the next element.
    previous: Option<&'a str>,
    /// The first string, which may be the program of a command line.
    program: Option<&'a str>,
    index: usize,
}

enum Rest<'a, T: Tree<'a>> {
    Pairs(T::Pairs),
    Elements(T::Elements),
}

/// A form in which an object or array says what its values are.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    /// An object that names a secret and has its value: `{"name": …, "value": …}`.
    Named,
    /// A Secret of Kubernetes.
    Kubernetes,
    /// The data of one, all of which is secret.
    Sealed,
    /// A private or symmetric JSON Web Key (RFC 7517).
    WebKey,
    /// An array of pairs: `[["name", "value"], …]`.
    Pairs,
    /// A pair in such an array.
    Pair,
    /// An array in which names and values alternate.
    Alternating,
    /// A postal address, in which a PIN code is the postal code of India.
    Address,
}

struct Walk<'k, 'a, T: Tree<'a>> {
    keys: &'k mut Keys,
    depth: u32,
    scalar: usize,
    found: Vec<Replacement>,
    open: Vec<Frame<'a, T>>,
    secrets: &'k mut Vec<&'a str>,
    known: &'k [&'a str],
}

impl<'a, T: Tree<'a>> Walk<'_, 'a, T> {
    fn pair(&mut self, key: &'a str, node: Node<'a, T>) {
        let frame = self.open.last().expect("the walk is in an object");
        let (form, outer, parent) = (frame.form, frame.place, frame.key);
        let verdict = self.keys.verdict_in(parent, key);
        let is_secret = verdict.has(Verdict::SECRET)
            && !is_license(parent, key, node)
            && !(form == Form::Address && is_postal_code(key, node))
            || form == Form::Sealed
            || form == Form::Named && is_value(key)
            || form == Form::WebKey && ["d", "p", "q", "dp", "dq", "qi", "k", "oth"].contains(&key);
        let place = match outer {
            _ if outer == Place::Kept || verdict.has(Verdict::KEPT) => Place::Kept,
            _ if is_secret && (verdict.has(Verdict::COUNTS) || is_number_of(key, node)) => Place::Counted,
            _ if is_secret => Place::Secret,
            Place::Secret | Place::Counted | Place::Within if !verdict.has(Verdict::DESCRIBES) => Place::Within,
            _ if verdict.has(Verdict::WEAK) => Place::Weak,
            _ => Place::Open,
        };
        self.enter(node, Some(key), place);
        if form == Form::Kubernetes
            && matches!((key, node), ("data" | "stringData", Node::Object(_)))
            && let Some(data) = self.open.last_mut()
        {
            data.form = Form::Sealed;
        }
    }

    fn element(&mut self, node: Node<'a, T>) {
        let frame = self.open.last_mut().expect("the walk is in an array");
        let (form, place, key, name) = (frame.form, frame.place, frame.key, frame.previous.take());
        let is_value = !frame.index.is_multiple_of(2) && matches!(form, Form::Pair | Form::Alternating);
        if let Node::String(text) = node
            && (text.starts_with('-')
                || frame.index.is_multiple_of(2) && matches!(form, Form::Pair | Form::Alternating))
        {
            frame.previous = Some(text);
        }
        if let (0, Node::String(text)) = (frame.index, node) {
            frame.program = Some(text);
        }
        let program = frame.program;
        frame.index += 1;
        let names_secret = name
            .filter(|name| is_value || name.starts_with("--") || name.len() > 4)
            .is_some_and(|name| self.keys.verdict(name).has(Verdict::SECRET));
        if names_secret && place != Place::Kept {
            return self.enter(node, name, Place::Secret);
        }
        if let (Some("-u" | "--user" | "-U" | "--proxy-user"), Node::String(login)) = (name, node)
            && place == Place::Open
            && let Some((user, password)) = login.split_once(':')
            && !password.is_empty()
        {
            let user = if opaque::is_opaque(user) { MASK } else { user };
            let text = format!("{user}:{MASK}");
            self.found.push(Replacement { scalar: self.scalar, text, secrets: 1 });
            self.scalar += 1;
            return;
        }
        if let (Some(program), Node::String(text), Place::Open) = (program, node, place)
            && (name.is_some() || text.starts_with("-p"))
            && let Some(text) = argument(program, name, text)
        {
            self.found.push(Replacement { scalar: self.scalar, text, secrets: 1 });
            self.scalar += 1;
            return;
        }
        self.enter(node, key, place);
        if form == Form::Pairs
            && matches!(node, Node::Array(_))
            && let Some(pair) = self.open.last_mut()
        {
            pair.form = Form::Pair;
        }
    }

    /// Judges a scalar, or goes into an object or array.
    fn enter(&mut self, node: Node<'a, T>, key: Option<&'a str>, place: Place) {
        let (rest, form) = match node {
            Node::Object(tree) => {
                let form = if place == Place::Kept { Form::Plain } else { self.form_of_object(tree) };
                (Rest::Pairs(tree.pairs()), form)
            }
            Node::Array(tree) => (Rest::Elements(tree.elements()), form_of_array(tree, key)),
            scalar => return self.scalar(scalar, place),
        };
        self.open.push(Frame { rest, place, key, form, previous: None, program: None, index: 0 });
    }

    fn scalar(&mut self, node: Node<'a, T>, place: Place) {
        let replaced = match node {
            Node::String(text) => self.string(text, place),
            Node::Number if place == Place::Secret => Some((MASK.to_owned(), 1)),
            _ => None,
        };
        if let Some((text, secrets)) = replaced {
            self.found.push(Replacement { scalar: self.scalar, text, secrets });
        }
        self.scalar += 1;
    }

    fn string(&mut self, text: &'a str, place: Place) -> Option<(String, u32)> {
        let is_secret = match place {
            Place::Kept => return None,
            Place::Secret => true,
            Place::Counted => !is_quantity(text) && !is_choice(text),
            Place::Within => !opaque::is_date(text) && !["true", "false", "null"].contains(&text),
            Place::Weak => opaque::is_opaque(text) || opaque::is_basic(text),
            Place::Open => false,
        };
        if !is_secret && !self.known.contains(&text) {
            return text::mask(text, self.keys, self.depth);
        }
        if is_secret && self.secrets.len() < REPEATED && text::is_distinct(text) {
            self.secrets.push(text);
        }
        let is_hidden = text.bytes().all(|byte| byte == b'*');
        (!is_hidden).then(|| (MASK.to_owned(), 1))
    }

    fn form_of_object(&mut self, tree: T) -> Form {
        let parts = tree.keys().fold(0, |parts, key| parts | part_of(key));
        let is_named = parts & (NAME | VALUE) == NAME | VALUE;
        if !is_named && parts & KIND == 0 {
            return if parts & TOWN == 0 { Form::Plain } else { Form::Address };
        }
        let mut form = Form::Plain;
        for (key, node) in tree.pairs() {
            let Node::String(text) = node else { continue };
            if key == "kind" && text == "Secret" {
                return Form::Kubernetes;
            }
            if key == "kty" {
                return Form::WebKey;
            }
            if form == Form::Plain && is_named && part_of(key) & NAME != 0 {
                // The path of a JSON Patch (RFC 6902) ends with the key.
                let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or(text);
                if self.keys.verdict(last).has(Verdict::SECRET) {
                    form = Form::Named;
                }
            }
        }
        form
    }
}

/// The number of secrets of a value that are looked for again.
const REPEATED: usize = 20;

/// Returns whether the text says whether something must be used, such as the `httpTokens` of AWS EC2.
fn is_choice(text: &str) -> bool {
    ["optional", "required", "enabled", "disabled", "none"].iter().any(|choice| choice.eq_ignore_ascii_case(text))
}

/// Returns the text to store for an argument of the program that is, or has, a password.
#[cold]
fn argument(program: &str, option: Option<&str>, text: &str) -> Option<String> {
    if option.is_some_and(|option| takes_password(option, |word| program.contains(word.trim()))) {
        return Some(MASK.to_owned());
    }
    let is_client = program.contains("mysql") || program.contains("mariadb");
    (is_client && text.starts_with("-p") && text.len() > 3 && !text.contains("port")).then(|| format!("-p{MASK}"))
}

/// Returns whether the text is a number, such as `4,096`.
fn is_quantity(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
}

/// Returns whether the value is the name of a license, as in `{"license": {"key": "gpl-3.0"}}`.
fn is_license<'a, T>(parent: Option<&str>, key: &str, node: Node<'a, T>) -> bool {
    key == "key"
        && parent == Some("license")
        && matches!(node, Node::String(text) if text.len() <= 20 && !text.bytes().any(|byte| byte.is_ascii_uppercase()))
}

/// Returns whether the value is the postal code of a place in India, as in `{"pincode": "560038"}`.
fn is_postal_code<'a, T>(key: &str, node: Node<'a, T>) -> bool {
    let is_code = |text: &str| text.len() == 6 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    key.to_ascii_lowercase().replace('_', "") == "pincode" && matches!(node, Node::String(text) if is_code(text))
}

/// Returns whether the value is a number of secrets, as in `{"passwords": 14}`.
fn is_number_of<'a, T>(key: &str, node: Node<'a, T>) -> bool {
    matches!(node, Node::Number) && key.ends_with('s') && !key.ends_with("ss")
}

/// The value of the key names another value.
const NAME: u8 = 1;

/// The value of the key is named by another value.
const VALUE: u8 = 1 << 1;

/// The value of the key is the kind of the object.
const KIND: u8 = 1 << 2;

/// The value of the key is the town of an address.
const TOWN: u8 = 1 << 3;

/// Returns the part that the value of a key has in its object.
fn part_of(key: &str) -> u8 {
    const LONG: [(&str, u8); 3] = [("parameter", NAME), ("attribute", NAME), ("plaintext", VALUE)];
    if key.len() > 8 {
        // `headerName` and `headerValue`, `variable_name` and `new_value`
        let bytes = key.as_bytes();
        match bytes[bytes.len() - 1] | 0x20 {
            b'e' if bytes[bytes.len() - 5..].eq_ignore_ascii_case(b"value") => return VALUE,
            b'e' if bytes[bytes.len() - 4..].eq_ignore_ascii_case(b"name") => return NAME,
            _ => {}
        }
        return LONG.iter().find(|(long, _)| long.eq_ignore_ascii_case(key)).map_or(0, |(_, part)| *part);
    }
    if key.is_empty() || LENGTHS[usize::from(key.as_bytes()[0] & 31)] >> key.len() & 1 == 0 {
        return 0;
    }
    let packed = pack(key.as_bytes());
    if KINDS.contains(&packed) {
        KIND
    } else if NAMES.contains(&packed) {
        NAME
    } else if VALUES.contains(&packed) {
        VALUE
    } else if TOWNS.contains(&packed) {
        TOWN
    } else {
        0
    }
}

/// Returns whether the key is one whose value is named by another value.
fn is_value(key: &str) -> bool {
    part_of(key) == VALUE
}

const KINDS: [u64; 2] = all_packed(["kind", "kty"]);

const NAMES: [u64; 17] = all_packed([
    "k", "n", "id", "key", "env", "var", "name", "path", "field", "label", "param", "header", "option", "column",
    "setting", "property", "variable",
]);

const VALUES: [u64; 20] = all_packed([
    "v", "to", "new", "old", "was", "now", "val", "from", "text", "after", "value", "values", "before", "content",
    "default", "current", "newvalue", "oldvalue", "previous", "string",
]);

const TOWNS: [u64; 3] = all_packed(["city", "town", "district"]);

/// The lengths of these words by their first letter, as one bit for each. Most other keys have another length.
const LENGTHS: [u16; 32] = {
    let mut lengths = [0; 32];
    add_lengths(&mut lengths, &KINDS);
    add_lengths(&mut lengths, &NAMES);
    add_lengths(&mut lengths, &VALUES);
    add_lengths(&mut lengths, &TOWNS);
    lengths
};

const fn add_lengths(lengths: &mut [u16; 32], words: &[u64]) {
    let mut index = 0;
    while index < words.len() {
        let (mut rest, mut first, mut length) = (words[index], 0, 0);
        while rest > 0 {
            first = rest;
            rest >>= 8;
            length += 1;
        }
        lengths[(first & 31) as usize] |= 1 << length;
        index += 1;
    }
}

const fn all_packed<const N: usize>(words: [&str; N]) -> [u64; N] {
    let mut packed = [0; N];
    let mut index = 0;
    while index < N {
        packed[index] = pack(words[index].as_bytes());
        index += 1;
    }
    packed
}

/// Returns the bytes of a short key in one number, in lower case.
const fn pack(key: &[u8]) -> u64 {
    let mut packed = 0;
    let mut at = 0;
    while at < key.len() {
        packed = packed << 8 | key[at].to_ascii_lowercase() as u64;
        at += 1;
    }
    packed
}

fn form_of_array<'a, T: Tree<'a>>(tree: T, key: Option<&str>) -> Form {
    match tree.elements().next() {
        Some(Node::Array(_)) if tree.elements().all(is_pair) => Form::Pairs,
        Some(Node::String(_)) if key.is_some_and(|key| key.to_ascii_lowercase().ends_with("headers")) => {
            let is_alternating = tree.elements().enumerate().all(|(index, node)| match node {
                Node::String(name) => index % 2 == 1 || !name.contains([':', ' ']),
                _ => false,
            });
            if is_alternating { Form::Alternating } else { Form::Plain }
        }
        _ => Form::Plain,
    }
}

fn is_pair<'a, T: Tree<'a>>(node: Node<'a, T>) -> bool {
    let Node::Array(pair) = node else { return false };
    let mut elements = pair.elements();
    matches!((elements.next(), elements.next(), elements.next()), (Some(Node::String(_)), Some(_), None))
}

/// Masks a JSON text. Returns None if the text is not a JSON object or array.
pub fn mask_json(text: &str, keys: &mut Keys, depth: u32) -> Option<Option<(String, u32)>> {
    let document = json::Document::parse(text)?;
    let found = within(document.root(), keys, depth + 1);
    if found.is_empty() {
        return Some(None);
    }
    let secrets = found.iter().map(|replacement| replacement.secrets).sum();
    Some(Some((document.with(&found), secrets)))
}

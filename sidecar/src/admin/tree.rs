//! JSON as a tree that a reader opens and closes, without scripts. Each value links to the events whose details have it.

use std::collections::BTreeMap;

use askama::filters::{Html, escape};
use serde_json::value::RawValue;
use url::form_urlencoded::Serializer;

use super::json;

/// A tree as HTML.
pub struct Tree {
    /// The HTML. All texts of the JSON are escaped.
    pub html: String,
    /// Whether the tree leaves something out.
    pub is_cut: bool,
}

/// Returns valid JSON as a tree. A value links to the address `log` with a further filter.
pub fn tree(text: &str, log: &str) -> Tree {
    write(text, Some(log))
}

/// Returns valid JSON as a tree without links.
pub fn plain(text: &str) -> Tree {
    write(text, None)
}

fn write(text: &str, log: Option<&str>) -> Tree {
    let mut writer =
        Writer { log, html: String::new(), is_cut: false, values: 0, before: String::new(), after: Vec::new() };
    writer.html.push_str("<ul class=\"tree\">");
    writer.item(text, None);
    writer.html.push_str("</ul>");
    Tree { html: writer.html, is_cut: writer.is_cut }
}

struct Writer<'a> {
    log: Option<&'a str>,
    html: String,
    is_cut: bool,
    values: usize,
    /// The JSON around the present value: what stands before it, and the brackets that close it.
    before: String,
    after: Vec<char>,
}

impl Writer<'_> {
    /// Writes a value in its list. A member of an object has a name.
    fn item(&mut self, text: &str, name: Option<&str>) {
        self.values += 1;
        self.html.push_str("<li>");
        let is_deep = self.after.len() >= DEEPEST;
        match text.as_bytes().first() {
            Some(b'{' | b'[') if is_deep => self.flat(text, name),
            Some(b'{') => match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
                Ok(members) => self.members(name, &members),
                Err(_) => self.leaf(text, name),
            },
            Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(text) {
                Ok(elements) => self.elements(name, &elements),
                Err(_) => self.leaf(text, name),
            },
            _ => self.leaf(text, name),
        }
        self.html.push_str("</li>");
    }

    fn members(&mut self, name: Option<&str>, members: &BTreeMap<String, &RawValue>) {
        self.open(name, members.len(), ["key", "keys"]);
        for (key, value) in members {
            if self.values >= MOST_VALUES {
                return self.cut(members.len());
            }
            let key_json = serde_json::Value::from(key.as_str()).to_string();
            self.within(&format!("{{{key_json}:"), '}', value.get(), Some(&key_json));
        }
        self.close();
    }

    fn elements(&mut self, name: Option<&str>, elements: &[&RawValue]) {
        self.open(name, elements.len(), ["value", "values"]);
        for value in elements {
            if self.values >= MOST_VALUES {
                return self.cut(elements.len());
            }
            self.within("[", ']', value.get(), None);
        }
        self.close();
    }

    /// Writes a value within the present one.
    fn within(&mut self, open: &str, close: char, text: &str, name: Option<&str>) {
        let length = self.before.len();
        self.before.push_str(open);
        self.after.push(close);
        self.item(text, name);
        self.after.pop();
        self.before.truncate(length);
    }

    fn leaf(&mut self, text: &str, name: Option<&str>) {
        self.name(name);
        let shown = json::pretty(text, MOST_LEAF);
        let value = escaped(&shown.text);
        if shown.left_out > 0 {
            self.is_cut = true;
            self.html.push_str(&format!("{value} <span class=\"muted\">… (+{} bytes)</span>", shown.left_out));
        } else if let Some(log) = self.log.filter(|_| self.before.len() + text.len() <= MOST_FILTER)
            && !self.after.is_empty()
        {
            let filter: String = [self.before.as_str(), text].into_iter().collect::<String>()
                + &self.after.iter().rev().collect::<String>();
            let query = Serializer::new(String::new()).append_pair("details", &filter).finish();
            let href = escaped(&format!("{log}&{query}"));
            self.html
                .push_str(&format!("<a class=\"value\" href=\"{href}\" title=\"Events with this value\">{value}</a>"));
        } else {
            self.html.push_str(&value);
        }
    }

    /// Writes a value that is too deep for a tree.
    fn flat(&mut self, text: &str, name: Option<&str>) {
        self.name(name);
        let shown = json::pretty(text, MOST_FLAT);
        self.is_cut |= shown.left_out > 0;
        self.html.push_str(&format!("<pre tabindex=\"0\">{}</pre>", escaped(&shown.text)));
    }

    fn open(&mut self, name: Option<&str>, count: usize, [one, more]: [&str; 2]) {
        let open = if self.after.len() < OPEN && count <= MOST_OPEN { " open" } else { "" };
        self.html.push_str(&format!("<details{open}><summary>"));
        self.name(name);
        let unit = if count == 1 { one } else { more };
        self.html.push_str(&format!("<span class=\"muted\">{count} {unit}</span></summary><ul>"));
    }

    fn cut(&mut self, count: usize) {
        self.is_cut = true;
        self.html.push_str(&format!("<li class=\"muted\">Not all of the {count} are shown.</li>"));
        self.close();
    }

    fn close(&mut self) {
        self.html.push_str("</ul></details>");
    }

    /// Writes the name of a member, which is JSON.
    fn name(&mut self, name: Option<&str>) {
        if let Some(name) = name {
            let shown = json::pretty(name, MOST_NAME);
            let more = if shown.left_out > 0 { "…" } else { "" };
            self.html.push_str(&format!("<span class=\"key\">{}{more}</span>: ", escaped(&shown.text)));
        }
    }
}

fn escaped(text: &str) -> String {
    // Neither step fails for a string.
    escape(text, Html).map_or_else(|_| String::new(), |text| text.to_string())
}

/// Levels that have a tree. Deeper values are text.
const DEEPEST: usize = 12;

/// Levels that are open at first.
const OPEN: usize = 3;

/// Values of a list that is open at first.
const MOST_OPEN: usize = 50;

/// Values of a tree.
const MOST_VALUES: usize = 500;

/// Bytes of a value, and of a value that is too deep.
const MOST_LEAF: usize = 1_000;
const MOST_FLAT: usize = 4_000;

/// Bytes of a name.
const MOST_NAME: usize = 100;

/// Bytes of the JSON of a filter. A longer one would not fit into an address.
const MOST_FILTER: usize = 400;

#[cfg(test)]
mod tests {
    use super::tree;

    #[test]
    fn each_value_links_to_the_events_that_have_it() {
        let html = tree(r#"{"a": [{"b\"": 1.50}], "c": {}}"#, "/admin/log?workspace=acme").html;
        let filter = "%7B%22a%22%3A%5B%7B%22b%5C%22%22%3A1.50%7D%5D%7D";
        assert!(html.contains(&format!("href=\"/admin/log?workspace=acme&#38;details={filter}\"")), "{html}");
        assert!(html.contains(">1.50</a>") && html.contains("0 keys"), "{html}");
    }

    #[test]
    fn nothing_in_the_json_becomes_html() {
        let html = tree("{\"<b>\": \"</ul><script>\u{202e}\", \"x\": \"' onclick=\\\"\"}", "/admin/log?x=1").html;
        assert!(!html.contains("<b>") && !html.contains("<script") && !html.contains('\u{202e}'), "{html}");
        assert!(!html.contains("' onclick"), "{html}");
        assert!(html.contains("\\u202e"), "{html}");
    }

    #[test]
    fn a_tree_is_bounded() {
        let wide = format!("{{{}}}", (0..10_000).map(|n| format!("\"{n}\": {n}")).collect::<Vec<_>>().join(","));
        let deep = "[".repeat(5_000) + &"]".repeat(5_000);
        let long = format!("\"{}\"", "<".repeat(1 << 20));
        for json in [wide, deep, long] {
            let tree = tree(&json, "/admin/log?x=1");
            assert!(tree.html.len() < 200_000 && tree.is_cut, "{}", tree.html.len());
        }
        assert!(!tree(r#"{"a": [1, 2]}"#, "").is_cut);
    }
}

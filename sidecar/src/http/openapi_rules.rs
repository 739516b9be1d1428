//! The rules of values in the OpenAPI document: lengths, forms and choices that the types of Rust do not have. JSON Schema
//! counts characters, and the database counts bytes of UTF-8. So a name with other characters than ASCII can be refused
//! although the schema allows it.

use serde_json::Value;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

use crate::events::filters::CATEGORIES;
use crate::outcome::Outcome;

/// The rule of a text.
#[derive(Clone, Copy, Default)]
struct Rule {
    shortest: Option<usize>,
    longest: Option<usize>,
    pattern: Option<&'static str>,
    values: &'static [&'static str],
}

/// Adds the rules to the parameters and to the schemas of bodies.
pub(super) fn add(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten();
        for parameter in operations.flat_map(|operation| operation.parameters.iter_mut().flatten()) {
            let RefOr::T(parameter) = parameter else { continue };
            let name = parameter.name.strip_prefix("not_").unwrap_or(&parameter.name);
            let rule = PARAMETERS.iter().find(|(known, _)| *known == name);
            if let (Some((_, rule)), Some(RefOr::T(schema))) = (rule, &mut parameter.schema) {
                rule.apply(schema);
            }
        }
    }
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let Some(schemas) = schemas else { return };
    for (schema, property, rule) in PROPERTIES {
        if let Some(RefOr::T(Schema::Object(object))) = schemas.get_mut(*schema)
            && let Some(RefOr::T(property)) = object.properties.get_mut(*property)
        {
            rule.apply(property);
        }
    }
}

impl Rule {
    /// Adds the rule to a text, or to the elements of a list.
    fn apply(&self, schema: &mut Schema) {
        match schema {
            Schema::Object(text) => self.apply_to_text(text),
            Schema::Array(list) => {
                if let utoipa::openapi::schema::ArrayItems::RefOrSchema(items) = &mut list.items
                    && let RefOr::T(Schema::Object(text)) = &mut **items
                {
                    self.apply_to_text(text);
                }
            }
            _ => {}
        }
    }

    fn apply_to_text(&self, text: &mut Object) {
        text.min_length = self.shortest;
        text.max_length = self.longest;
        text.pattern = self.pattern.map(ToOwned::to_owned);
        if !self.values.is_empty() {
            let mut values: Vec<Value> = self.values.iter().map(|value| Value::from(*value)).collect();
            if matches!(&text.schema_type, SchemaType::Array(types) if types.contains(&Type::Null)) {
                values.push(Value::Null);
            }
            text.enum_values = Some(values);
        }
    }
}

const fn name(longest: usize) -> Rule {
    Rule { shortest: Some(1), longest: Some(longest), pattern: Some(PRINTABLE), values: &[] }
}

const fn form(pattern: &'static str) -> Rule {
    Rule { shortest: None, longest: None, pattern: Some(pattern), values: &[] }
}

const fn choice(values: &'static [&'static str]) -> Rule {
    Rule { shortest: None, longest: None, pattern: None, values }
}

const fn reason(longest: usize) -> Rule {
    Rule { shortest: Some(1), longest: Some(longest), pattern: Some(NOT_BLANK), values: &[] }
}

/// No control character.
const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";

/// No U+0000, which no text of PostgreSQL contains.
const STORABLE: &str = r"^[^\u0000]+$";

/// At least one character that is not a space, and no control character.
const NOT_BLANK: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[!-~][^\u0000-\u001f\u007f-\u009f]*$";

/// A date, or a time with a zone, in the years 1900 to 9999. The form does not say how many days a month has.
const TIME: &str = r"^(19|[2-9][0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]))?$";

const PARAMETERS: &[(&str, Rule)] = &[
    ("workspace", name(200)),
    ("since", form(TIME)),
    ("until", form(TIME)),
    ("action", form(STORABLE)),
    ("actor", form(STORABLE)),
    ("target", form(STORABLE)),
    ("request_id", form(STORABLE)),
    ("session_id", form(STORABLE)),
    ("category", choice(&CATEGORIES)),
    ("outcome", choice(&Outcome::NAMES)),
    ("ip", form(r"^([0-9]{1,3}\.){3}[0-9]{1,3}(/[0-9]{1,2})?$|^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(/[0-9]{1,3})?$")),
    ("details", form(r"^\s*\{[\s\S]*\}\s*$")),
    ("cursor", form(r"^-?[0-9]{1,17}\.[0-9]{1,18}$")),
    ("bucket", form(r"^[1-9][0-9]{0,2}(s|m|h|d|w|month|year)$")),
    ("zone", form(r"^[A-Za-z][A-Za-z0-9_+/-]*$")),
    ("group_by", choice(&["action", "actor", "category", "outcome"])),
    ("wait", form(r"^([0-9]|[1-5][0-9]|60)s$")),
    ("name", form(r"^[a-z0-9-]+$")),
    ("session", form(r"^[0-9a-f]{12}$")),
    ("index", form(r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$")),
];

const PROPERTIES: &[(&str, &str, Rule)] = &[
    ("NewEvent", "action", name(200)),
    ("NewEvent", "workspace", name(200)),
    ("NewEvent", "actor", name(1000)),
    ("NewEvent", "target", name(1000)),
    ("NewEvent", "targets", name(1000)),
    ("NewEvent", "idempotency_key", name(1000)),
    ("NewEvent", "outcome", choice(&Outcome::NAMES)),
    ("LegalHoldRequest", "workspace", name(200)),
    ("LegalHoldRequest", "target", name(1000)),
    ("LegalHoldRequest", "actor", name(1000)),
    ("LegalHoldRequest", "reason", reason(4000)),
    ("NewRetention", "workspace", name(200)),
    ("NewRetention", "preset", form(r"^[A-Za-z0-9-]+$")),
    ("NewRetention", "retention", form(r"^[1-9][0-9]{0,4} (day|month|year)s?( [1-9][0-9]{0,4} days?)?$")),
    ("ViewerLinkRequest", "workspace", name(200)),
    ("ViewerLinkRequest", "role", choice(&["viewer", "auditor"])),
    ("ViewerLinkRequest", "actor", name(1000)),
    ("ViewerLinkRequest", "name", reason(200)),
    ("ViewerLinkRequest", "target", name(1000)),
    ("RedactionRequest", "field", choice(&["actor", "targets", "source", "details"])),
    ("RedactionRequest", "reason", reason(1000)),
];

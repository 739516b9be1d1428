//! Filters of events. A filter of a text or of an address is one row of [`FIELDS`]. The query parameters, the
//! command-line options, the API description, the database's argument and the record of a query follow from it.

use std::collections::BTreeMap;
use std::error::Error;

use bytes::BytesMut;
use serde_json::{Map, Value};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type as SchemaType};

use crate::postgres::types::JsonText;
use crate::time::Time;

/// A filter that accepts several values, and values to exclude.
#[derive(Debug)]
pub struct Field {
    /// Name of the query parameter, of the command-line option, and of the field in `filters` of the query functions.
    pub name: &'static str,
    /// The name followed by `!`, which excludes events with one of these values.
    pub excluded: &'static str,
    /// Another name of `excluded` as a query parameter: `not_` and the name. Generators of clients make the same identifier
    /// of a name with and without `!`.
    pub negated: &'static str,
    /// Description of the matching events, as the continuation of "Only events …".
    pub about: &'static str,
    example: &'static str,
}

macro_rules! field {
    ($name:literal, $about:literal, $example:literal) => {
        Field {
            name: $name,
            excluded: concat!($name, "!"),
            negated: concat!("not_", $name),
            about: $about,
            example: $example,
        }
    };
}

/// The categories of events, in the order in which pages show them.
pub const CATEGORIES: [&str; 7] = ["auth", "admin", "rule", "writeback", "feedback", "audit", "other"];

/// The filters in addition to workspace, period and details.
pub const FIELDS: &[Field] = &[
    field!("action", "with this action, or with an action that starts with the text before an asterisk", "ticket.*"),
    field!("actor", "of this actor, or of an actor that starts with the text before an asterisk", "system:*"),
    field!("target", "that have this among their targets", "ticket:991"),
    field!("category", "of this category: auth, admin, rule, writeback, feedback, audit or other", "auth"),
    field!("outcome", "with this outcome: success, failure or denied", "failure"),
    field!("request_id", "from this request of the application", "request-7f3a"),
    field!("session_id", "from this session of the application", "session-42"),
    field!("ip", "from this address or CIDR range", "192.0.2.0/24"),
];

/// The filters of a query or an export. A filter without a value accepts all events, except `since`, whose default is
/// 168 hours ago.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// The workspace.
    pub workspace: String,
    /// Start of the period.
    pub since: Option<Time>,
    /// End of the period, not included.
    pub until: Option<Time>,
    /// JSON object that the details must contain, as the text that was given.
    pub details: Option<String>,
    /// The values by field.
    pub fields: FieldFilters,
}

/// The values of [`FIELDS`], by `name` or `excluded`. An event must have one of the values of a `name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldFilters(BTreeMap<&'static str, Vec<String>>);

impl Filters {
    /// Arguments of a query function of the database; `$1` to `$5` are [`Filters::arguments`].
    pub const ARGUMENTS: &str = "workspace => $1, since => coalesce($2, now() - interval '168 hours'), until => $3, \
                                 details => $4, filters => $5";

    /// Returns filters that accept all events of a workspace.
    pub fn everything(workspace: &str) -> Self {
        Self { workspace: workspace.to_owned(), since: Time::parse("0001-01-01").ok(), ..Self::default() }
    }

    /// The query parameters that may be given once.
    pub const SINGLE: [&str; 4] = ["workspace", "since", "until", "details"];

    /// The query parameters that may be repeated.
    pub fn repeated() -> impl Iterator<Item = &'static str> {
        FIELDS.iter().flat_map(|field| [field.name, field.excluded])
    }

    /// Returns the parameters of [`Filters::ARGUMENTS`].
    pub fn arguments(&self) -> Arguments<'_> {
        Arguments { filters: self, details: self.details.as_deref().map(JsonText) }
    }

    /// Returns the given filters as details of an event about the query. The text of the details filter is a string,
    /// because it may contain numbers that a double cannot represent.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut json = self.fields.to_json();
        json.extend(self.details.as_ref().map(|text| ("details".to_owned(), text.clone().into())));
        json.extend(self.since.map(|time| ("since".to_owned(), time.to_string().into())));
        json.extend(self.until.map(|time| ("until".to_owned(), time.to_string().into())));
        json
    }
}

/// The parameters of [`Filters::ARGUMENTS`].
pub struct Arguments<'a> {
    filters: &'a Filters,
    details: Option<JsonText<'a>>,
}

impl Arguments<'_> {
    /// Returns the parameters, followed by `more`.
    pub fn and<'s>(&'s self, more: &[&'s (dyn ToSql + Sync)]) -> Vec<&'s (dyn ToSql + Sync)> {
        let Filters { workspace, since, until, details: _, fields } = self.filters;
        let own: [&(dyn ToSql + Sync); 5] = [workspace, since, until, &self.details, fields];
        [&own, more].concat()
    }
}

impl FieldFilters {
    /// Takes the values by name. Names that belong to no field are ignored.
    pub fn new(mut values: impl FnMut(&str) -> Vec<String>) -> Self {
        Self(Filters::repeated().map(|name| (name, values(name))).filter(|(_, values)| !values.is_empty()).collect())
    }

    /// Takes the values of a limit instead of its own values with the same name.
    pub fn limited_by(mut self, limit: Self) -> Self {
        self.0.extend(limit.0);
        self
    }

    /// Returns the values by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0.iter().map(|(name, values)| (*name, values.as_slice()))
    }

    /// Accepts a single value without a list.
    fn to_json(&self) -> Map<String, Value> {
        let json = |values: &Vec<String>| match values.as_slice() {
            [value] => value.clone().into(),
            values => values.into(),
        };
        self.0.iter().map(|(name, values)| ((*name).to_owned(), json(values))).collect()
    }
}

/// The argument `filters` of the query functions.
impl ToSql for FieldFilters {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        JsonText(&Value::from(self.to_json()).to_string()).to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <JsonText<'_> as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

impl IntoParams for Filters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let single = [
            ("workspace", "Workspace. Required if the token is for all workspaces".to_owned(), None),
            (
                "since",
                "Start of the period: RFC 3339 or a date (midnight UTC). Default: 168 hours ago. Give an earlier \
                 time to reach further back"
                    .to_owned(),
                Some("2026-03-01T00:00:00Z"),
            ),
            ("until", "End of the period, not included".to_owned(), None),
            ("details", "Only events whose details contain this JSON object".to_owned(), Some("{\"rule\": 7}")),
        ];
        let single = single.map(|(name, about, example)| parameter(name, about, example, text().into()));
        let fields = FIELDS.iter().flat_map(|field| {
            let about = field.about;
            [
                parameter(
                    field.name,
                    format!("Only events {about}. Repeat it for events that have one of several values"),
                    Some(field.example),
                    list(),
                ),
                parameter(
                    field.negated,
                    format!("No events {about}. Repeat it to exclude several values"),
                    None,
                    list(),
                ),
            ]
        });
        single.into_iter().chain(fields).collect()
    }
}

fn parameter(name: &str, about: String, example: Option<&str>, schema: Schema) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(about))
        .example(example.map(Into::into))
        .schema(Some(schema))
        .build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::String)
}

/// Marks a list in a query as one parameter per value, which is the default of OpenAPI.
fn list() -> Schema {
    ArrayBuilder::new().items(text()).max_items(Some(MOST_VALUES)).into()
}

/// Maximum number of values of a field in `filters` of the query functions.
const MOST_VALUES: usize = 50;

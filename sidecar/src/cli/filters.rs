//! Options that select events.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::events::filters::{FIELDS, FieldFilters};

/// The filters of `pack export` in addition to workspace and period. Each field has the options `--name` and
/// `--not-name`.
pub struct FilterArgs {
    /// Events whose details contain this JSON object.
    pub details: Option<String>,
    /// The values by field.
    pub fields: FieldFilters,
}

impl Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        let fields = FIELDS.iter().flat_map(|field| {
            let about = field.about;
            [
                option(field.name).help(format!("Include only events {about}; repeat it for several values (export)")),
                option(field.excluded).help(format!("Exclude events {about} (export)")),
            ]
        });
        let details = Arg::new(DETAILS).long(DETAILS).value_name("JSON");
        command.args(fields).arg(details.help("Include only events whose details contain this JSON object (export)"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let values = |name: &str| matches.get_many(name).unwrap_or_default().cloned().collect();
        Ok(Self { details: matches.get_one(DETAILS).cloned(), fields: FieldFilters::new(values) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

const DETAILS: &str = "details";

fn option(name: &'static str) -> Arg {
    let long = match name.strip_suffix('!') {
        Some(field) => format!("not-{field}"),
        None => name.to_owned(),
    };
    Arg::new(name).long(long.replace('_', "-")).value_name("VALUE").action(ArgAction::Append)
}

//! The definitions of packs, and their parser.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::definition::{Definition, FIXED_COLUMNS, MAX_COLUMNS, Rule, Tags};
use crate::outcome::Outcome;

/// The definitions of packs: the built-in ones, then those of the deployment's file. Their tags have the built-in actions.
#[derive(Debug, Clone)]
pub struct Definitions {
    list: Vec<Arc<Definition>>,
    tags: Tags,
}

/// Errors of a file of definitions.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// The file cannot be read.
    #[error("pack definitions {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not TOML, or does not have the form of definitions.toml.
    #[error("pack definitions {}, line {line}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Description of the error and of its correction.
        reason: String,
    },
}

impl Definitions {
    /// Returns the built-in definitions.
    ///
    /// # Errors
    /// Fails if the built-in file is not valid, which the tests exclude.
    pub fn built_in() -> Result<Self, DefinitionsError> {
        let none = Self { list: Vec::new(), tags: Tags::default() };
        Self::parse(BUILT_IN, Path::new("definitions.toml"), none)
    }

    /// Loads the built-in definitions and those of the deployment's file, if there is one.
    ///
    /// # Errors
    /// Fails with [`DefinitionsError`], which names the file, the line and the reason.
    pub fn load(file: Option<&Path>) -> Result<Self, DefinitionsError> {
        let built_in = Self::built_in()?;
        let Some(path) = file else {
            return Ok(built_in);
        };
        let text =
            std::fs::read_to_string(path).map_err(|source| DefinitionsError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, built_in)
    }

    /// Returns all definitions, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.list.iter()
    }

    /// Returns the tags, each with the built-in actions that have it.
    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Returns the definition with this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Definition>> {
        self.list.iter().find(|definition| definition.name.as_str() == name)
    }

    /// Adds the definitions of a file to the known ones. Only the built-in file has tags.
    fn parse(text: &str, path: &Path, mut known: Self) -> Result<Self, DefinitionsError> {
        let invalid = |offset: usize, reason: String| DefinitionsError::Invalid {
            path: path.to_owned(),
            line: 1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count(),
            reason,
        };
        let file: File =
            toml::from_str(text).map_err(|e| invalid(e.span().map_or(0, |span| span.start), e.message().to_owned()))?;
        if let Some(tags) = file.tags {
            if !known.list.is_empty() {
                let reason = "a file of your own cannot define tags; give an action tags with audit.register_action";
                return Err(invalid(tags.span().start, reason.to_owned()));
            }
            known.tags = tags.into_inner();
        }
        for spanned in file.pack {
            let offset = spanned.span().start;
            let mut definition = spanned.into_inner();
            on_one_line(&mut definition);
            if let Some(reason) = problem(&definition, &known) {
                return Err(invalid(offset, reason));
            }
            definition.tags = known.tags.only(&definition.tags_used());
            if let Err(reason) = definition.check_form() {
                let name = definition.name.as_str();
                let reason = format!(
                    "pack \"{name}\": {reason}. Give it a title, a purpose, a version, and at most {MAX_COLUMNS} columns"
                );
                return Err(invalid(offset, reason));
            }
            known.list.push(Arc::new(definition));
        }
        Ok(known)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tags: Option<Spanned<Tags>>,
    #[serde(default)]
    pack: Vec<Spanned<Definition>>,
}

/// Returns an error in a definition that the parser does not detect.
fn problem(definition: &Definition, known: &Definitions) -> Option<String> {
    let name = definition.name.as_str();
    if known.find(name).is_some() {
        return Some(format!("there is already a pack \"{name}\"; give this one another name"));
    }
    if definition.tags != Tags::default() {
        return Some(format!("pack \"{name}\" lists the actions of tags; name the tags in its rules only"));
    }
    if let Some(tag) = definition.tags_used().into_iter().find(|tag| !known.tags.contains(tag)) {
        let tags = known.tags.iter().map(|(tag, _)| tag).collect::<Vec<_>>().join(", ");
        return Some(format!("pack \"{name}\" has the tag \"{tag}\"; use {tags}"));
    }
    if definition.include.iter().any(|rule| *rule == Rule::default()) {
        return Some(format!(
            "pack \"{name}\" has an include rule without actions, tags, categories and outcomes; \
                                 omit it to include every event"
        ));
    }
    if definition.include.is_empty() && !definition.filters {
        return Some(format!(
            "pack \"{name}\" has no include rule; add one, or filters = true for a pack of every \
                                 event that accepts filters"
        ));
    }
    let outcomes = definition.include.iter().map(|rule| &rule.outcomes);
    let outcomes = outcomes.chain(definition.summary.iter().map(|column| &column.outcomes));
    let is_known = |outcome: &String| Outcome::ALL.iter().any(|known| known.as_str() == outcome);
    if let Some(outcome) = outcomes.flatten().find(|outcome| !is_known(outcome)) {
        return Some(format!("pack \"{name}\" has the outcome \"{outcome}\"; use success, failure or denied"));
    }
    let mut columns: HashSet<&str> = FIXED_COLUMNS.into();
    if let Some(column) = definition.summary.iter().find(|column| !columns.insert(column.column.as_str())) {
        return Some(format!("pack \"{name}\" has two summary columns \"{}\"", column.column.as_str()));
    }
    None
}

/// Puts each text on one line.
fn on_one_line(definition: &mut Definition) {
    let controls = definition.controls.iter_mut().flat_map(|control| [&mut control.framework, &mut control.evidence]);
    for text in controls.chain([&mut definition.title, &mut definition.purpose]) {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

const BUILT_IN: &str = include_str!("../../../proof/definitions.toml");

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let known = Definitions::built_in().unwrap();
        Definitions::parse(text, Path::new("own.toml"), known).unwrap_err().to_string()
    }

    #[test]
    fn built_in_packs_are_there() {
        let definitions = Definitions::built_in().unwrap();
        let names: Vec<_> = definitions.iter().map(|definition| definition.name.as_str()).collect();
        assert_eq!(names, ["access-review", "change-management", "incident-response", "export"]);
    }

    #[test]
    fn a_deployment_adds_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[[pack]]\nname = \"billing\"\ntitle = \"Billing\"\npurpose = \"Invoices.\"\n\
                    [[pack.include]]\nactions = [\"invoice_sent\"]\noutcomes = [\"success\"]\n";
        std::fs::write(file.path(), text).unwrap();
        let definitions = Definitions::load(Some(file.path())).unwrap();
        assert_eq!(definitions.iter().count(), 5);
        assert!(definitions.find("billing").unwrap().includes("invoice_sent", "other", "success"));
    }

    #[test]
    fn a_bad_file_is_refused_with_line_and_reason() {
        for (text, line, reason) in [
            ("[[pack]\n", 1, ""),
            ("\n[[pack]]\nname = \"x\"\ntitel = \"X\"\n", 4, "titel"),
            ("[[pack]]\nname = \"X Y\"\n", 2, "1 to 40 of a-z"),
            ("[[pack]]\nname = \"x\"\n", 1, "title"),
            ("\n\n[[pack]]\nname = \"export\"\ntitle = \"E\"\npurpose = \"E\"\nfilters = true\n", 3, "already"),
            ("[[pack]]\nname = \"x\"\ntitle = \"E\"\npurpose = \"E\"\n", 1, "no include rule"),
            ("[[pack]]\nname = \"x\"\ntitle = \"E\"\npurpose = \"E\"\n[[pack.include]]\n", 1, "include rule without"),
            (
                "[[pack]]\nname = \"x\"\ntitle = \"E\"\npurpose = \"E\"\nfilters = true\n[[pack.summary]]\ncolumn = \"events\"\n",
                1,
                "two summary columns",
            ),
            (
                "[[pack]]\nname = \"x\"\ntitle = \"E\"\npurpose = \"E\"\n[[pack.include]]\noutcomes = [\"fail\"]\n",
                1,
                "fail",
            ),
            (
                "[[pack]]\nname = \"x\"\ntitle = \"E\"\npurpose = \"E\"\n[[pack.include]]\ntags = [\"logins\"]\n",
                1,
                "tag \"logins\"; use audit_access, ",
            ),
            (
                "[[pack]]\nname = \"x\"\ntitle = \"E\"\npurpose = \"E\"\ntags = { login = [] }\n\
                 [[pack.include]]\ntags = [\"login\"]\n",
                1,
                "lists the actions of tags",
            ),
            ("[tags]\nlogin = [\"x\"]\n", 1, "cannot define tags"),
        ] {
            let refusal = refusal(text);
            assert!(
                refusal.contains(&format!("own.toml, line {line}: ")) && refusal.contains(reason),
                "{text}: {refusal}"
            );
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Definitions::load(Some(Path::new("/nowhere/packs.toml"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/packs.toml"), "{error}");
    }
}

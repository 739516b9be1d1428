//! The SQL reference: each public function has a page in docs/sql, whose signature, arguments and callers are those of the
//! database, and whose example gives what it shows.
//!
//! A page shows SQL in blocks of language `sql`, and what psql prints for one in the block of language `text` behind it. The
//! blocks below "Example" run in one session, on a new database that holds the sample data of sample-data.md. In what is
//! shown, `…` stands for any text within its line; the width of columns does not count.
//!
//! `AUDIT_UPDATE=1` writes into the pages what the database says. What changes from run to run is for the author to mask.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use audit_harness::database::Database;
use audit_harness::query::all;
use serde_json::Value;

use crate::psql::psql;

/// Pages that are of no function.
const OTHER_PAGES: [&str; 3] = ["README", "sample-data", "tables"];

const UPDATE_HINT: &str = "To write what the database says into the pages: AUDIT_UPDATE=1 make test T=sql_reference";

#[tokio::test]
async fn each_public_function_has_a_page_and_each_page_a_function() {
    let functions: BTreeSet<String> = functions().await.iter().map(|f| string(f, "page")).collect();
    let pages: BTreeSet<String> =
        pages().iter().map(|page| name(page)).filter(|name| !OTHER_PAGES.contains(&name.as_str())).collect();
    assert_eq!(pages, functions);
}

#[tokio::test]
async fn a_page_describes_the_function_that_is_there() {
    let mut wrong = String::new();
    for function in functions().await {
        let page = folder().join(string(&function, "page") + ".md");
        let mut text = fs::read_to_string(&page).unwrap();
        let title = format!("# audit.{}\n", name(&page));
        assert!(text.starts_with(&title), "{} must begin with {title}", page.display());
        for section in ["## Arguments", "## Returns", "## Errors", "## Example"] {
            assert!(text.contains(&format!("\n{section}\n")), "{} has no section {section}", page.display());
        }
        if strings(&function, "arguments") != arguments(&text) {
            wrong += &format!(
                "{}: the table of arguments lists {:?}, the function has {:?}\n",
                page.display(),
                arguments(&text),
                strings(&function, "arguments")
            );
        }
        let callers: Vec<String> = strings(&function, "callers").iter().map(|role| format!("`{role}`")).collect();
        let callers = if callers.is_empty() { "superusers".into() } else { callers.join(", ") };
        let callers = format!("Callers: {callers}.\n");
        let signature = string(&function, "signature") + "\n";
        let shown = blocks(&text).into_iter().next().expect("a page begins with the signature").content;
        let line = text.find("\nCallers: ").expect("a page names the callers") + 1;
        let line = line..line + text[line..].find('\n').unwrap() + 1;
        if text[line.clone()] == callers && text[shown.clone()] == signature {
            continue;
        }
        if updating() {
            text.replace_range(line, &callers);
            text.replace_range(shown, &signature);
            fs::write(&page, text).unwrap();
        } else {
            wrong += &format!("{} must say\n{signature}{callers}\n", page.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}{UPDATE_HINT}");
}

#[tokio::test]
async fn the_examples_print_what_the_pages_show() {
    let sample = fs::read_to_string(folder().join("sample-data.md")).unwrap();
    let mut wrong = String::new();
    for page in pages() {
        let mut text = fs::read_to_string(&page).unwrap();
        let examples = examples(&text);
        assert!(
            OTHER_PAGES.contains(&name(&page).as_str()) || !examples.is_empty(),
            "{} has no example",
            page.display()
        );
        let before: String = if name(&page) == "sample-data" { String::new() } else { script(&sample) };
        let outputs = run(&before, &text, &examples);
        // From the last to the first: what is replaced moves what is behind it.
        for (example, output) in examples.iter().zip(&outputs).rev() {
            let shown = example.shown.as_ref().map_or("", |shown| &text[shown.clone()]);
            if prints(shown, output) {
                continue;
            }
            match &example.shown {
                Some(range) if updating() => text.replace_range(range.clone(), output),
                _ => {
                    let sql = &text[example.sql.clone()];
                    wrong += &format!("{}:\n{sql}--- shown\n{shown}--- printed\n{output}\n", page.display());
                }
            }
        }
        if updating() {
            fs::write(&page, text).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}{UPDATE_HINT}");
}

#[tokio::test]
async fn the_page_of_tables_lists_their_columns() {
    let db = Database::new();
    let columns: Vec<String> = all(
        &db.connect().await,
        "SELECT 'audit.' || c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'c') AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY c.relname COLLATE \"C\", a.attnum",
        &[],
    )
    .await;
    let page = fs::read_to_string(folder().join("tables.md")).unwrap();
    let mut table = "";
    let mut shown = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            table = name;
        } else if let Some(column) = first_cell(line) {
            shown.push(format!("{table}.{column}"));
        }
    }
    assert_eq!(shown, columns);
}

/// The public functions, one of each name: page, signature, arguments and callers.
async fn functions() -> Vec<Value> {
    let db = Database::new();
    all(&db.connect().await, include_str!("sql_reference.sql"), &[]).await
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql")
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

fn name(page: &Path) -> String {
    page.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn updating() -> bool {
    env::var_os("AUDIT_UPDATE").is_some()
}

fn string(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

fn strings(value: &Value, key: &str) -> BTreeSet<String> {
    value[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// The names in the table below "Arguments".
fn arguments(page: &str) -> BTreeSet<String> {
    let section = page.split("\n## ").find(|section| section.starts_with("Arguments\n")).unwrap_or_default();
    section.lines().filter_map(first_cell).map(str::to_owned).collect()
}

/// The name in the first cell of a row of a table.
fn first_cell(line: &str) -> Option<&str> {
    Some(line.strip_prefix("| `")?.split_once('`')?.0)
}

/// A fenced block: its language, and where its content is.
struct Block {
    language: String,
    content: Range<usize>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        if let Some(fence) = line.strip_prefix("```") {
            match open.take() {
                None => open = Some(Block { language: fence.trim().to_owned(), content: at..at }),
                Some(block) => blocks.push(Block { content: block.content.start..begin, ..block }),
            }
        }
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

/// Where a page has the SQL of an example, and what psql prints for it; nothing, if there is no such block.
struct Example {
    sql: Range<usize>,
    shown: Option<Range<usize>>,
}

fn examples(page: &str) -> Vec<Example> {
    let Some(begin) = page.find("\n## Example\n") else { return Vec::new() };
    let mut examples: Vec<Example> = Vec::new();
    for block in blocks(page).into_iter().filter(|block| block.content.start > begin) {
        match block.language.as_str() {
            "sql" => examples.push(Example { sql: block.content, shown: None }),
            "text" => examples.last_mut().expect("SQL comes before what it prints").shown = Some(block.content),
            other => panic!("an example is in sql and text, not in {other:?}"),
        }
    }
    examples
}

/// The SQL of the examples of a page.
fn script(page: &str) -> String {
    examples(page).into_iter().map(|example| &page[example.sql]).collect()
}

/// What psql prints for each example, after a script that must succeed.
fn run(before: &str, page: &str, examples: &[Example]) -> Vec<String> {
    const NEXT: &str = "---- next example ----\n";
    let db = Database::new();
    let mut script = format!("{before}RESET ALL;\n");
    for example in examples {
        script += &format!("\\echo {NEXT}{}", &page[example.sql.clone()]);
    }
    let printed = psql(&db, &["-v", "SHOW_CONTEXT=never"], &script);
    let mut outputs = printed.split(NEXT).map(|output| format!("{}\n", output.trim_end()));
    let before = outputs.next().unwrap_or_default();
    assert!(!before.contains("ERROR"), "the sample data cannot be loaded: {before}");
    outputs.collect()
}

/// Whether the output is what is shown.
fn prints(shown: &str, output: &str) -> bool {
    let (shown, output) = (shown.trim_end(), output.trim_end());
    shown.lines().count() == output.lines().count()
        && shown.lines().zip(output.lines()).all(|(shown, line)| matches(&narrow(shown), &narrow(line)))
}

/// The line with one space, and one dash, instead of several.
fn narrow(line: &str) -> String {
    let mut narrow = String::new();
    for c in line.trim().chars() {
        if !(narrow.ends_with(c) && (c == ' ' || c == '-')) {
            narrow.push(c);
        }
    }
    narrow
}

fn matches(shown: &str, line: &str) -> bool {
    let Some((first, rest)) = shown.split_once('…') else { return shown == line };
    let Some(mut line) = line.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('…').unwrap_or(("", rest));
    for part in middle.split('…') {
        let Some(found) = line.find(part) else { return false };
        line = &line[found + part.len()..];
    }
    line.ends_with(last)
}

#[test]
fn a_shown_line_stands_for_what_it_does_not_mask() {
    for (shown, line, expected) in [
        ("a | 1", "a    | 1", true),
        ("a | 1", "a | 2", false),
        ("a | … | 1", "a | 2026-11-29 10:00 | 1", true),
        ("a | … | 1", "a | 2026-11-29 10:00 | 2", false),
        ("…b…c", "xbyc", true),
        ("…b…c", "xcyb", false),
        ("a …", "a ", false),
        ("a…", "a", true),
        ("----+--", "-+-------", true),
        ("ab…ba", "aba", false),
    ] {
        assert_eq!(prints(shown, line), expected, "{shown} for {line}");
    }
}

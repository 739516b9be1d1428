//! The recipes of docs/recipes/, run as they stand there through PgBouncer in transaction mode. tests/recipes/README.md says
//! which requests each runner makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use audit_harness::database::{Database, connect};
use audit_harness::pooler::Pooler;
use audit_harness::query::{all, one, run};

use crate::support::page_block;

/// Maximum number of lines of a recipe.
const MOST_LINES: usize = 30;

/// The table of the recipes. The database refuses to close ticket 13, but only when the transaction commits.
const TICKETS: &str = "\
    CREATE TABLE ticket (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'open'); \
    INSERT INTO ticket SELECT generate_series(1, 40); \
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'ticket 13 stays open'; END $$; \
    CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON ticket DEFERRABLE INITIALLY DEFERRED \
        FOR EACH ROW WHEN (new.id = 13) EXECUTE FUNCTION refuse(); \
    GRANT SELECT, UPDATE ON ticket TO PUBLIC";

/// A recipe, in a folder where its runner finds it.
struct Recipe {
    folder: tempfile::TempDir,
}

impl Recipe {
    /// Writes the code of a page into `file`, beside the runners in the folder `runners`.
    fn new(page: &str, language: &str, runners: &str, file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes")).join(runners);
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, code(page, language)).unwrap();
        Self { folder }
    }

    /// Returns a command in the folder.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        command
    }
}

/// Returns the code of a page.
fn code(page: &str, language: &str) -> String {
    let path = format!("recipes/{page}");
    let text = fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(&path)).unwrap();
    let title = text.lines().next().unwrap().trim_start_matches("# ").to_owned();
    page_block(&path, &title, language, 0)
}

/// Returns a program that the makefile installs below target/recipes.
fn installed(path: &str) -> PathBuf {
    let prefix = PathBuf::from(std::env::var_os("AUDIT_TEST_PREFIX").expect("make test sets AUDIT_TEST_PREFIX"));
    prefix.with_file_name("recipes").join(path)
}

/// A database with tickets, and PgBouncer in front of it.
struct Bench {
    db: Arc<Database>,
    role: String,
    pooler: Pooler,
}

impl Bench {
    async fn new() -> Self {
        let db = Arc::new(Database::new());
        run(&db.connect().await, TICKETS).await;
        let role = db.role(&["audit_writer"]);
        let settings =
            ["default_pool_size = 2", "max_client_conn = 20", "ignore_startup_parameters = extra_float_digits"];
        let pooler = Pooler::start_on_tcp(&db, &role, "transaction", &settings);
        Self { db, role, pooler }
    }

    /// Returns a URL for libpq and for drivers that read its URLs.
    fn url(&self, scheme: &str) -> String {
        let (folder, port) = (self.pooler.folder().display(), self.pooler.port());
        format!("{scheme}:///{}?host={folder}&port={port}&user={}", self.db.name(), self.role)
    }

    /// Returns a URL over TCP.
    fn tcp_url(&self, scheme: &str) -> String {
        format!("{scheme}://{}@127.0.0.1:{}/{}", self.role, self.pooler.port(), self.db.name())
    }

    /// Runs a runner, and checks what it left in the audit log.
    async fn check(&self, mut command: Command, url: String) {
        let output = command.env("DATABASE_URL", url).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}\n{said}{}", String::from_utf8_lossy(&output.stdout));
        self.check_events().await;
    }

    /// Checks the events of the requests, and the tickets.
    async fn check_events(&self) {
        let client = self.db.connect().await;
        let event = "SELECT e.workspace || ' ' || e.actor || ' ' || host(e.ip) || ' ' || e.targets[1] || ' ' || e.details \
                     FROM audit.event e WHERE e.action = 'ticket.closed' ORDER BY split_part(e.targets[1], ':', 2)::integer";
        let expected: Vec<String> = (1..=40)
            .filter(|ticket| *ticket != 13)
            .map(|ticket: i32| {
                let workspace = ["globex", "acme"][ticket as usize % 2];
                format!(
                    "{workspace} user:{workspace} 192.0.2.{} ticket:{ticket} {{\"status\": \"closed\"}}",
                    1 + ticket % 2
                )
            })
            .collect();
        assert_eq!(all::<String>(&client, event, &[]).await, expected);
        let closed = "SELECT count(*) FROM ticket WHERE status = 'closed'";
        assert_eq!(one::<i64>(&client, closed, &[]).await, 39);
    }
}

#[test]
fn each_recipe_is_short_and_listed() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes"));
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        if entry == "README.md" {
            continue;
        }
        let text = fs::read_to_string(folder.join(&entry)).unwrap();
        let language = text.lines().find_map(|line| line.strip_prefix("```")).unwrap();
        let lines = code(&entry, language).lines().count();
        assert!(lines <= MOST_LINES, "{entry} has {lines} lines of code");
        let row = index
            .lines()
            .find(|line| line.contains(&format!("({entry})")))
            .unwrap_or_else(|| panic!("{entry} is not listed"));
        let is_run = text.contains("Tested in CI");
        assert_eq!(row.contains("| run"), is_run, "{entry}: {row}");
        assert_ne!(text.contains("not tested in CI.\n") || text.contains("not tested in CI:"), is_run, "{entry}");
    }
}

#[tokio::test]
async fn sqlalchemy() {
    let recipe = Recipe::new("sqlalchemy.md", "python", "python", "recipe.py");
    let bench = Bench::new().await;
    let command = recipe.command(installed("python/bin/python"), &["sqlalchemy_recipe.py"]);
    bench.check(command, bench.url("postgresql+psycopg")).await;
}

#[tokio::test]
async fn django() {
    let recipe = Recipe::new("django.md", "python", "python", "recipe.py");
    let bench = Bench::new().await;
    let command = recipe.command(installed("python/bin/python"), &["django_recipe.py"]);
    bench.check(command, bench.url("postgresql")).await;
}

#[tokio::test]
async fn node() {
    for page in ["node-pg.md", "drizzle.md"] {
        let recipe = Recipe::new(page, "js", "node", "recipe.js");
        std::os::unix::fs::symlink(installed("node/node_modules"), recipe.folder.path().join("node_modules")).unwrap();
        let bench = Bench::new().await;
        bench.check(recipe.command("node", &["run.mjs"]), bench.tcp_url("postgresql")).await;
    }
}

/// The recipe of tokio-postgres, which build.rs takes from the page.
#[allow(missing_docs)]
mod tokio_postgres_recipe {
    include!(concat!(env!("OUT_DIR"), "/tokio-postgres.rs"));
}

#[tokio::test]
async fn tokio_postgres() {
    use tokio_postgres_recipe::{Context, close_ticket};
    let bench = Bench::new().await;
    let mut workers = Vec::new();
    for first in 1..=4 {
        let config = bench.pooler.config();
        workers.push(tokio::spawn(async move {
            let mut client = connect(&config).await;
            for ticket in (first..=40_i64).step_by(4) {
                let workspace = ["globex", "acme"][ticket as usize % 2];
                let (actor, ip) = (format!("user:{workspace}"), format!("192.0.2.{}", 1 + ticket % 2));
                let context = Context { workspace, actor: &actor, ip: &ip };
                let closed = close_ticket(&mut client, &context, ticket).await;
                assert_eq!(closed.is_err(), ticket == 13, "{ticket}: {closed:?}");
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    bench.check_events().await;
}

/// The recipe of sqlx, which build.rs takes from the page.
#[allow(missing_docs)]
mod sqlx_recipe {
    include!(concat!(env!("OUT_DIR"), "/sqlx.rs"));
}

#[tokio::test]
async fn sqlx() {
    let bench = Bench::new().await;
    let pool =
        sqlx::postgres::PgPoolOptions::new().max_connections(4).connect(&bench.tcp_url("postgresql")).await.unwrap();
    let mut workers = Vec::new();
    for first in 1..=4 {
        let pool = pool.clone();
        workers.push(tokio::spawn(async move {
            for ticket in (first..=40_i64).step_by(4) {
                let workspace = ["globex", "acme"][ticket as usize % 2];
                let (actor, ip) = (format!("user:{workspace}"), format!("192.0.2.{}", 1 + ticket % 2));
                let closed = sqlx_recipe::close_ticket(&pool, workspace, &actor, &ip, ticket).await;
                assert_eq!(closed.is_err(), ticket == 13, "{ticket}: {closed:?}");
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    bench.check_events().await;
}

#[tokio::test]
async fn go() {
    let recipe = Recipe::new("pgx.md", "go", "go", "src/recipe/recipe.go");
    let bench = Bench::new().await;
    let mut command = recipe.command("go", &["run", "run.go"]);
    // Debian's packages have a folder of sources without modules.
    let path = format!("{}:/usr/share/gocode", recipe.folder.path().display());
    command.envs([("GO111MODULE", "off"), ("GOFLAGS", ""), ("GOPATH", &path)]).env("GOCACHE", installed("go"));
    bench.check(command, bench.tcp_url("postgresql")).await;
}

#[tokio::test]
async fn java() {
    let recipe = Recipe::new("jdbc.md", "java", "java", "Recipe.java");
    let compiled = recipe.command("javac", &["Recipe.java", "Run.java"]).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let bench = Bench::new().await;
    let (port, name, role) = (bench.pooler.port(), bench.db.name(), &bench.role);
    let url = format!("jdbc:postgresql://127.0.0.1:{port}/{name}?user={role}&prepareThreshold=0");
    bench.check(recipe.command("java", &["-cp", ".:/usr/share/java/postgresql.jar", "Run"]), url).await;
}

#[tokio::test]
async fn ruby() {
    let recipe = Recipe::new("activerecord.md", "ruby", "ruby", "recipe.rb");
    let bench = Bench::new().await;
    let url = format!("{}?prepared_statements=false", bench.tcp_url("postgresql"));
    bench.check(recipe.command("ruby", &["run.rb"]), url).await;
}

//! `audit-sidecar admin`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use url::Url;

use crate::cli::output::{note, say};
use crate::cli::session::{actor, explain};
use crate::config::{DatabaseArgs, base_url};
use crate::postgres::pool::Database;
use crate::service::login_link::{self, NewLink};
use crate::service::request_context::RequestContext;

/// Arguments of `admin`.
#[derive(Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print a link that logs in to the admin pages as an admin, once and within five minutes
    Link(Box<LinkArgs>),
}

#[derive(Args)]
struct LinkArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Limit the session to this workspace; default: all workspaces
    #[arg(long)]
    workspace: Option<String>,
    /// Person that the link is for; default: the user of the operating system
    #[arg(long)]
    name: Option<String>,
    /// Address at which browsers reach the sidecar
    #[arg(long, default_value = "http://127.0.0.1:8787", value_parser = base_url)]
    url: Url,
}

/// Prints a link.
///
/// # Errors
/// Fails if the database cannot be reached or refuses the request.
pub async fn run(args: AdminArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Link(args) => link(*args).await,
    }
}

async fn link(args: LinkArgs) -> anyhow::Result<ExitCode> {
    let actor = actor();
    let name = args.name.as_deref().unwrap_or_else(|| actor.trim_start_matches("cli:"));
    let database = Database::new(&args.database)?;
    let created = login_link::create(
        &database,
        &RequestContext::default(),
        &actor,
        &NewLink::for_admin(name, args.workspace.as_deref()),
    )
    .await;
    let (secret, expires_at) = created.map_err(explain)?;
    let scope = args.workspace.as_deref().map_or("all workspaces".to_owned(), |name| format!("workspace {name}"));
    note!("This link logs in as an admin of {scope}. It works once, until {expires_at}:");
    say!("{}{}", args.url.as_str().trim_end_matches('/'), secret.path());
    Ok(ExitCode::SUCCESS)
}

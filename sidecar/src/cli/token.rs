//! `audit-sidecar token`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::{ArgGroup, Args, Subcommand};
use deadpool_postgres::Client;

use crate::cli::output::{self, note, say};
use crate::cli::session::{actor, connect, explain};
use crate::config::{self, DatabaseArgs};
use crate::http::rights::Role;
use crate::postgres::pool::Database;
use crate::service::request_context::RequestContext;
use crate::service::token::{self, NewToken, Stored, Token};
use crate::text::printable;
use crate::time::Time;

/// Arguments of `token`.
#[derive(Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a token and print it; it cannot be shown again
    Create(Box<CreateArgs>),
    /// List the tokens, without their secrets
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Revoke a token; this takes effect at once
    Revoke {
        /// Id of the token: the 12 hex digits after audit_
        id: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Args)]
#[command(group(ArgGroup::new("scope").required(true).args(["workspace", "all_workspaces"])))]
struct CreateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Limit the token to this workspace
    #[arg(long)]
    workspace: Option<String>,
    /// Make the token valid for all workspaces
    #[arg(long)]
    all_workspaces: bool,
    /// Role: viewer queries; auditor queries and exports; writer only appends; embedder creates viewer links; admin has all rights
    #[arg(long, value_enum)]
    role: Role,
    /// Person or program that the token is for
    #[arg(long)]
    name: String,
    /// Expiry, as a length of time such as 90d or a time such as 2027-01-01T00:00:00Z; default: never
    #[arg(long, value_parser = expiry)]
    expires: Option<Time>,
}

/// Creates, lists or revokes tokens.
///
/// # Errors
/// Fails if the database cannot be reached or refuses the request.
pub async fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Create(args) => create(*args).await,
        Action::List { database } => list(&connect(&database).await?).await,
        Action::Revoke { id, database } => revoke(&Database::new(&database)?, &id).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<ExitCode> {
    let new =
        NewToken { name: args.name, role: args.role.to_string(), workspace: args.workspace, expires_at: args.expires };
    let database = Database::new(&args.database)?;
    let token = token::create(&database, &RequestContext::default(), &actor(), &new).await.map_err(explain)?;
    note!(
        "Created token {} of role {} for {}. Save it now, it is not shown again:",
        token.id(),
        args.role,
        new.workspace.as_deref().map_or("all workspaces".to_owned(), |name| format!("workspace {name}"))
    );
    say!("{}", token.reveal());
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client) -> anyhow::Result<ExitCode> {
    let mut out = format!(
        "{:<12}  {:<8}  {:<8}  {:<20}  {:<27}  {:<27}  {}\n",
        "ID", "STATE", "ROLE", "WORKSPACE", "EXPIRES", "LAST USED", "NAME"
    );
    for token in token::list(client, None).await.map_err(explain)? {
        let Stored { id, state, role, .. } = &token;
        let never = |time: Option<Time>| time.map_or("never".to_owned(), |time| time.to_string());
        let (expires, used) = (never(token.expires_at), never(token.last_used_at));
        let workspace = printable(token.workspace.as_deref().unwrap_or("(all)"));
        let name = printable(&token.name);
        writeln!(out, "{id:<12}  {state:<8}  {role:<8}  {workspace:<20}  {expires:<27}  {used:<27}  {name}")?;
    }
    output::write(format_args!("{out}"));
    Ok(ExitCode::SUCCESS)
}

async fn revoke(database: &Database, id: &str) -> anyhow::Result<ExitCode> {
    // A user who pastes the whole token means its id.
    let id = id.parse::<Token>().map_or(id.to_owned(), |token| token.id().to_owned());
    if !token::revoke(database, &RequestContext::default(), &actor(), &id, None).await.map_err(explain)? {
        bail!(
            "there is no valid token with id \"{}\". To see the tokens, run audit-sidecar token list",
            printable(&id)
        );
    }
    say!("Token {id} is revoked.");
    Ok(ExitCode::SUCCESS)
}

fn expiry(text: &str) -> Result<Time, String> {
    let time = match config::duration(text) {
        Ok(duration) => i64::try_from(duration.as_micros())
            .ok()
            .and_then(|micros| Time::now().micros().checked_add(micros))
            .and_then(Time::from_micros)
            .ok_or_else(|| format!("\"{text}\" is too long"))?,
        Err(_) => Time::parse(text).map_err(|error| format!("{error}, or a length of time such as 90d"))?,
    };
    if time <= Time::now() { Err(format!("{time} is in the past")) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::expiry;
    use crate::time::Time;

    #[test]
    fn expiry_is_a_length_or_a_point_of_time_ahead() {
        let day = expiry("1d").unwrap().micros() - Time::now().micros();
        assert!((86_399_000_000..=86_400_000_000).contains(&day), "{day}");
        assert_eq!(expiry("9999-01-01").unwrap().to_string(), "9999-01-01T00:00:00.000000Z");
        for wrong in ["", "soon", "2020-01-01", "0s", "999999999d", "18446744073709551615ms"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }
}

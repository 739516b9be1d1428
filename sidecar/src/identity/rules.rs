//! The rules that map claims to a role and a workspace.

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::claims::{self, Claims};
use super::{Identity, Refusal};
use crate::http::rights::Role;
use crate::service::audit_trail::SYSTEM_WORKSPACE;

/// A rule as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleSettings {
    /// Path of the claim.
    claim: String,
    /// Value that the claim is, or that is in its list.
    value: String,
    /// Role: viewer, auditor, writer or admin.
    role: String,
    /// The one workspace.
    workspace: Option<String>,
    /// Path of the claim that names the one workspace.
    workspace_claim: Option<String>,
    /// Whether the rule is for all workspaces.
    #[serde(default)]
    all_workspaces: bool,
}

/// The rules of an issuer or a proxy, and how the actor is named.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    actor_claim: String,
    actor_prefix: String,
}

#[derive(Debug)]
struct Rule {
    claim: String,
    value: String,
    role: Role,
    scope: Scope,
}

#[derive(Debug)]
enum Scope {
    All,
    One(String),
    Claim(String),
}

impl Rules {
    /// Checks the rules.
    ///
    /// # Errors
    /// Fails if there is no rule, if a rule has no role, or not exactly one scope, or if the actors would be those of the
    /// audit log itself.
    pub fn new(rules: Vec<RuleSettings>, actor_claim: String, actor_prefix: String) -> anyhow::Result<Self> {
        if rules.is_empty() {
            bail!("there is no rule, so nobody would be accepted");
        }
        if is_reserved(&actor_prefix) {
            bail!("actor_prefix \"{actor_prefix}\" begins with a word that stands for the audit log itself");
        }
        Ok(Self { rules: rules.into_iter().map(Rule::new).collect::<Result<_, _>>()?, actor_claim, actor_prefix })
    }

    /// Returns the text before the names of the actors.
    pub fn actor_prefix(&self) -> &str {
        &self.actor_prefix
    }

    /// Returns the path of the claim that names the actors.
    pub fn actor_claim(&self) -> &str {
        &self.actor_claim
    }

    /// Returns the identity of the first rule that the claims match.
    ///
    /// # Errors
    /// Fails with the reason if the claims name no actor, or if no rule matches.
    pub fn apply(&self, claims: &Claims) -> Result<Identity, Refusal> {
        let actor = self.actor(claims)?;
        let rule = self.rules.iter().find(|rule| rule.matches(claims));
        let rule = rule.ok_or_else(|| Refusal::NoRole(format!("no rule matches the claims of {actor}")))?;
        let workspace = match &rule.scope {
            Scope::All => None,
            Scope::One(workspace) => Some(workspace.clone()),
            Scope::Claim(path) => Some(named_workspace(claims, path)?.to_owned()),
        };
        let shown = ["name", "preferred_username", "email"].iter().find_map(|path| name(claims, path, 200).ok());
        Ok(Identity { name: shown.unwrap_or(&actor).to_owned(), actor, role: rule.role, workspace })
    }

    fn actor(&self, claims: &Claims) -> Result<String, Refusal> {
        let actor = format!("{}{}", self.actor_prefix, name(claims, &self.actor_claim, 900)?);
        // Without a prefix, a provider could name an actor of the audit log itself.
        if is_reserved(&actor) {
            return Err(Refusal::NoRole(format!("the actor \"{actor}\" stands for the audit log itself")));
        }
        Ok(actor)
    }
}

impl Rule {
    fn new(settings: RuleSettings) -> anyhow::Result<Self> {
        let RuleSettings { claim, value, role, workspace, workspace_claim, all_workspaces } = settings;
        let scope = match (workspace, workspace_claim, all_workspaces) {
            (Some(workspace), None, false) if !workspace.is_empty() => Scope::One(workspace),
            (None, Some(path), false) => Scope::Claim(path),
            (None, None, true) => Scope::All,
            _ => bail!("a rule of claim \"{claim}\" needs one of workspace, workspace_claim and all_workspaces = true"),
        };
        let role: Role = role.parse().ok().with_context(|| format!("role \"{role}\" does not exist"))?;
        if role == Role::Embedder {
            bail!("role embedder needs a token of the sidecar, because its viewer links end with the token");
        }
        Ok(Self { claim, value, role, scope })
    }

    fn matches(&self, claims: &Claims) -> bool {
        claims::at(claims, &self.claim).is_some_and(|value| claims::has(value, &self.value))
    }
}

/// Returns the workspace that a claim names. A customer can often choose the name of its organisation, so the workspace of
/// the audit log itself must be named in a rule.
fn named_workspace<'a>(claims: &'a Claims, path: &str) -> Result<&'a str, Refusal> {
    let workspace = name(claims, path, 200)?;
    if workspace == SYSTEM_WORKSPACE {
        return Err(Refusal::NoRole(format!("the claim {path} names the workspace of the audit log itself")));
    }
    Ok(workspace)
}

/// Returns a claim that is a name of at most so many bytes.
fn name<'a>(claims: &'a Claims, path: &str, most: usize) -> Result<&'a str, Refusal> {
    match claims::at(claims, path) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control) => {
            Ok(text)
        }
        Some(_) => Err(Refusal::NoRole(format!("the claim {path} is not a name"))),
        None => Err(Refusal::NoRole(format!("there is no claim {path}"))),
    }
}

fn is_reserved(actor: &str) -> bool {
    ["token:", "cli:", "system:", "database:"].iter().any(|reserved| actor.starts_with(reserved))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(text: &str, prefix: &str) -> anyhow::Result<Rules> {
        #[derive(Deserialize)]
        struct File {
            rule: Vec<RuleSettings>,
        }
        let file: File = toml::from_str(text)?;
        Rules::new(file.rule, "sub".to_owned(), prefix.to_owned())
    }

    fn apply(rules: &Rules, claims: Value) -> Result<Identity, String> {
        rules.apply(claims.as_object().unwrap()).map_err(|refusal| refusal.to_string())
    }

    const RULES: &str = r#"
        rule = [
            { claim = "groups", value = "admins", role = "admin", all_workspaces = true },
            { claim = "groups", value = "tenants", role = "viewer", workspace_claim = "org.id" },
            { claim = "groups", value = "acme", role = "auditor", workspace = "acme" },
        ]
    "#;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = rules(RULES, "user:").unwrap();
        let identity = |role, workspace: Option<&str>| {
            Ok(Identity {
                actor: "user:ada".to_owned(),
                name: "Ada".to_owned(),
                role,
                workspace: workspace.map(ToOwned::to_owned),
            })
        };
        let found = |groups: &[&str]| {
            apply(&rules, json!({ "sub": "ada", "name": "Ada", "groups": groups, "org": { "id": "t1" } }))
        };
        assert_eq!(found(&["acme", "admins"]), identity(Role::Admin, None));
        assert_eq!(found(&["acme", "tenants"]), identity(Role::Viewer, Some("t1")));
        assert_eq!(found(&["acme"]), identity(Role::Auditor, Some("acme")));
        assert_eq!(found(&["other"]).unwrap_err(), "no rule matches the claims of user:ada");
        assert_eq!(found(&[]).unwrap_err(), "no rule matches the claims of user:ada");
    }

    #[test]
    fn a_claim_that_is_no_name_is_refused_and_never_means_all_workspaces() {
        let rules = rules(RULES, "user:").unwrap();
        for id in
            [json!(""), json!(null), json!([]), json!(["a", "b"]), json!(7), json!("a\nb"), json!("x".repeat(201))]
        {
            let claims = json!({ "sub": "ada", "groups": ["tenants"], "org": { "id": id } });
            assert_eq!(apply(&rules, claims).unwrap_err(), "the claim org.id is not a name", "{id}");
        }
        let system = json!({ "sub": "ada", "groups": ["tenants"], "org": { "id": "audit" } });
        assert!(apply(&rules, system).unwrap_err().contains("the audit log itself"));
        let without = apply(&rules, json!({ "sub": "ada", "groups": ["tenants"] }));
        assert_eq!(without.unwrap_err(), "there is no claim org.id");
        for sub in [json!(""), json!(null), json!(["ada"]), json!(7)] {
            let claims = json!({ "sub": sub, "groups": ["acme"] });
            assert_eq!(apply(&rules, claims).unwrap_err(), "the claim sub is not a name");
        }
    }

    #[test]
    fn no_identity_is_an_actor_of_the_audit_log_itself() {
        let bare = rules(RULES, "").unwrap();
        let claims = json!({ "sub": "system:signer", "groups": ["acme"] });
        assert!(apply(&bare, claims).unwrap_err().contains("the audit log itself"));
        assert!(rules(RULES, "token:").unwrap_err().to_string().contains("the audit log itself"));
    }

    #[test]
    fn wrong_rules_are_refused() {
        for (rule, reason) in [
            ("", "there is no rule"),
            (r#"{ claim = "a", value = "b", role = "viewer" }"#, "needs one of workspace"),
            (r#"{ claim = "a", value = "b", role = "viewer", workspace = "" }"#, "needs one of workspace"),
            (
                r#"{ claim = "a", value = "b", role = "viewer", workspace = "x", all_workspaces = true }"#,
                "needs one of workspace",
            ),
            (r#"{ claim = "a", value = "b", role = "root", workspace = "x" }"#, "role \"root\" does not exist"),
            (r#"{ claim = "a", value = "b", role = "embedder", workspace = "x" }"#, "role embedder needs a token"),
            (r#"{ claim = "a", role = "viewer", workspace = "x" }"#, "missing field `value`"),
            (r#"{ claim = "a", value = "b", role = "viewer", workspaces = "x" }"#, "unknown field `workspaces`"),
        ] {
            let error = rules(&format!("rule = [{rule}]"), "user:").unwrap_err();
            assert!(error.to_string().contains(reason), "{rule}: {error}");
        }
    }
}

//! Scenes on the platform: several events that belong together.

use audit_harness::random::Random;
use serde_json::{Value, json};

use crate::cast::{BROWSERS, INTEGRATIONS, RULES, TROUBLES, Workspace};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// An event before it is recorded.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Seconds since the start of the scene.
    pub after: i64,
    pub action: &'static str,
    pub outcome: &'static str,
    pub actor: String,
    pub targets: Vec<String>,
    pub details: Value,
    pub ip: Option<String>,
    pub user_agent: Option<&'static str>,
    pub session_id: Option<String>,
    pub request_id: String,
}

/// Returns a random scene of a workspace; likely scenes come more often.
pub fn scene(random: &mut Random, workspace: &Workspace) -> Vec<Happening> {
    let mut stage = Stage::new(random, workspace);
    match stage.random.below(100) {
        0..=37 => stage.workday(),
        38..=79 => stage.alert(),
        80..=87 => stage.administration(),
        88..=94 => stage.feedback(),
        95..=98 => stage.backup(),
        _ => stage.attack(),
    }
    stage.events
}

struct Stage<'a> {
    random: &'a mut Random,
    workspace: &'a Workspace,
    events: Vec<Happening>,
    clock: i64,
    person: &'static str,
    ip: Option<String>,
    user_agent: Option<&'static str>,
    session_id: Option<String>,
}

impl<'a> Stage<'a> {
    fn new(random: &'a mut Random, workspace: &'a Workspace) -> Self {
        let person = random.pick(workspace.people);
        let ip = Some(format!("{}.{}", workspace.network, random.below(200) + 10));
        let user_agent = Some(random.pick(BROWSERS));
        let session_id = Some(format!("s-{:08x}", random.below(usize::MAX) as u32));
        Self { random, workspace, events: Vec::new(), clock: 0, person, ip, user_agent, session_id }
    }

    /// Plays a technician who logs in, works on tickets, and logs out.
    fn workday(&mut self) {
        if self.random.one_in(8) {
            self.by_person("login_failed", "failure", &[], json!({"reason": "wrong password"}));
            self.pass(30);
        }
        if self.random.one_in(4) {
            self.by_person(
                "sso_callback",
                "success",
                &[],
                json!({"provider": "entra", "claims": {"groups": ["technicians"]}}),
            );
            self.pass(2);
        }
        let second_factor = self.random.pick(&["totp", "webauthn", "none"]);
        self.by_person("login_succeeded", "success", &[], json!({"second_factor": second_factor}));
        for _ in 0..self.random.below(5) {
            self.pass(20 * MINUTE);
            self.work_on_ticket();
        }
        if self.random.one_in(40) {
            self.by_person("password_changed", "success", &[], json!({"by": "self", "new_password": "correct horse"}));
        }
        if self.random.one_in(60) {
            self.by_person("mfa_enrolled", "success", &[], json!({"method": "webauthn"}));
        }
    }

    fn work_on_ticket(&mut self) {
        let (ticket, customer) = (self.ticket(), self.customer());
        let targets = [ticket.as_str(), customer.as_str()];
        let status = self.random.pick(&["in progress", "waiting for customer", "resolved", "closed"]);
        match self.random.below(3) {
            0 => self.write_back("update_ticket_status", &targets, json!({"status": status})),
            1 => self.write_back(
                "add_ticket_note",
                &targets,
                json!({"text": "Called the customer, will follow up tomorrow.", "internal": true}),
            ),
            _ => {
                let minutes = (self.random.below(8) + 1) * 15;
                self.write_back("create_time_entry", &targets, json!({"minutes": minutes, "billable": true}));
            }
        }
    }

    /// Plays a device that raises an alert. A rule fires and writes to the ticket system.
    fn alert(&mut self) {
        let (title, device) = TROUBLES[self.random.below(TROUBLES.len())];
        let rule = self.random.pick(RULES);
        let (ticket, customer) = (self.ticket(), self.customer());
        let alert = format!("alert:{}", self.random.below(900_000) + 100_000);
        let device = format!("{device}-{:02}", self.random.below(40) + 1);
        let person = std::mem::replace(&mut self.person, "rules-engine");
        let (ip, agent, session) = (self.ip.take(), self.user_agent.take(), self.session_id.take());
        self.push(
            "rule_fired",
            "success",
            format!("rule:{rule}"),
            &[&format!("rule:{rule}"), &alert, &customer],
            json!({"trigger": {"alert": alert, "title": title, "device": device, "severity": "critical"},
                   "payload": {"action": "create_ticket", "queue": "service desk", "priority": 2}, "outcome": "dispatched"}),
        );
        self.pass(3);
        self.write_back(
            "create_ticket",
            &[&ticket, &customer, &alert],
            json!({"summary": title, "device": device, "priority": 2}),
        );
        (self.person, self.ip, self.user_agent, self.session_id) = (person, ip, agent, session);
        self.pass(30 * MINUTE);
        if self.random.one_in(2) {
            self.write_back("acknowledge_alert", &[&alert, &customer], json!({"acknowledged": true}));
        }
        if self.random.one_in(2) {
            self.pass(HOUR);
            self.write_back("update_ticket_status", &[&ticket, &customer], json!({"status": "resolved"}));
            self.write_back("resolve_alert", &[&alert, &customer], json!({"resolution": "fixed"}));
        }
    }

    /// Plays a change by the administrator.
    fn administration(&mut self) {
        self.person = self.workspace.people[0];
        self.by_person("login_succeeded", "success", &[], json!({"second_factor": "webauthn"}));
        self.pass(5 * MINUTE);
        let rule = format!("rule:{}", self.random.pick(RULES));
        match self.random.below(8) {
            0 | 1 => {
                let user = self.user(self.random.clone().pick(self.workspace.people));
                let (from, to) = [("technician", "dispatcher"), ("technician", "admin"), ("admin", "technician")]
                    [self.random.below(3)];
                self.by_person("user_role_changed", "success", &[&user], json!({"from": from, "to": to}));
            }
            2 => {
                let integration = self.random.pick(INTEGRATIONS);
                let details = json!({"integration": integration, "base_url": format!("https://{integration}.example/api"),
                                     "client_id": "platform", "client_secret": "s3cr3t-value", "verified": true});
                self.by_person(
                    "integration_credentials_saved",
                    "success",
                    &[&format!("integration:{integration}")],
                    details,
                );
            }
            3 => self.by_person("branding_updated", "success", &[], json!({"logo": "logo-2.svg", "colour": "#0b5fff"})),
            4 => {
                let customer = self.customer();
                self.by_person(
                    "customer_matching_changed",
                    "success",
                    &[&customer],
                    json!({"match_on": ["domain", "site name"]}),
                );
            }
            5 => self.by_person(
                "rule_created",
                "success",
                &[&rule],
                json!({"when": {"severity": "critical"}, "then": ["create_ticket"]}),
            ),
            6 => self.by_person(
                "rule_edited",
                "success",
                &[&rule],
                json!({"before": {"priority": 3}, "after": {"priority": 2}}),
            ),
            _ => self.by_person("rule_deleted", "success", &[&rule], json!({"reason": "replaced"})),
        }
        if self.random.one_in(10) {
            self.person = self.random.pick(self.workspace.people);
            self.by_person(
                "user_role_changed",
                "denied",
                &[],
                json!({"from": "technician", "to": "admin", "reason": "not permitted"}),
            );
        }
    }

    fn feedback(&mut self) {
        let (ticket, customer) = (self.ticket(), self.customer());
        let contact = format!("contact:{}", self.random.below(500));
        let stars = self.random.below(5) + 1;
        let (action, details) = if self.random.one_in(3) {
            ("support_request_submitted", json!({"subject": "Cannot print", "via": "portal"}))
        } else {
            ("feedback_submitted", json!({"stars": stars, "comment": "Quick and friendly – thank you!"}))
        };
        self.push(action, "success", contact, &[&ticket, &customer], details);
    }

    fn backup(&mut self) {
        let customer = self.customer();
        let size = self.random.below(900) + 100;
        self.by_person("backup_restored", "success", &[&customer], json!({"system": "file server", "gigabytes": size}));
    }

    /// Plays an outsider who guesses passwords until the account is locked.
    fn attack(&mut self) {
        self.ip = Some(format!("198.18.{}.{}", self.random.below(250), self.random.below(250)));
        self.user_agent = Some("python-requests/2.32");
        self.session_id = None;
        for _ in 0..self.random.below(25) + 8 {
            self.person = self.random.pick(self.workspace.people);
            self.by_person("login_failed", "failure", &[], json!({"reason": "wrong password"}));
            self.pass(4);
        }
        self.push(
            "rate_limited",
            "denied",
            "anonymous".into(),
            &[],
            json!({"limit": "10 logins a minute", "path": "/login"}),
        );
        if self.random.one_in(3) {
            let user = self.user(self.person);
            self.push(
                "session_invalidated",
                "success",
                "system:security".into(),
                &[&user],
                json!({"reason": "password guessing"}),
            );
        }
    }

    /// Plays a write to an external system. Its event holds the whole request, and the database masks the secrets in
    /// it.
    fn write_back(&mut self, action: &'static str, targets: &[&str], body: Value) {
        let failed = self.random.one_in(30);
        let actor =
            if self.person == "rules-engine" { "system:rules-engine".to_owned() } else { self.user(self.person) };
        let details = json!({
            "request": {"method": "POST", "url": format!("https://psa.example/api/{action}"),
                        "headers": {"authorization": "Bearer eyJhbGciOi.secret", "content-type": "application/json"}, "body": body},
            "response_status": if failed { 503 } else { 200 },
        });
        self.push(action, if failed { "failure" } else { "success" }, actor, targets, details);
    }

    fn by_person(&mut self, action: &'static str, outcome: &'static str, targets: &[&str], details: Value) {
        let actor = self.user(self.person);
        let own = [actor.as_str()];
        let targets = if targets.is_empty() { &own } else { targets };
        self.push(action, outcome, actor.clone(), targets, details);
    }

    fn push(&mut self, action: &'static str, outcome: &'static str, actor: String, targets: &[&str], details: Value) {
        let request_id = format!("req-{:012x}", self.random.below(1 << 48));
        self.events.push(Happening {
            after: self.clock,
            action,
            outcome,
            actor,
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            details,
            ip: self.ip.clone(),
            user_agent: self.user_agent,
            session_id: self.session_id.clone(),
            request_id,
        });
        self.pass(1);
    }

    fn pass(&mut self, most: i64) {
        self.clock += 1 + self.random.below(most as usize) as i64;
    }

    fn user(&self, person: &str) -> String {
        format!("user:{person}@{}", self.workspace.domain)
    }

    fn customer(&mut self) -> String {
        format!("customer:{}", self.random.pick(self.workspace.customers))
    }

    fn ticket(&mut self) -> String {
        format!("ticket:{}", self.random.below(20_000) + 10_000)
    }
}

//! Login at a real OpenID provider.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use audit_harness::database::Database;
use audit_harness::query::{all, run};
use audit_harness::sidecar::Sidecar;
use fantoccini::{Client, Locator};

use crate::browser::driver::Browser;

/// The provider of `tests/oidc/provider.mjs`. It ends when this value is dropped, because its standard input ends.
struct Provider {
    issuer: String,
    _program: Child,
    /// The provider would end if nobody could read its output.
    _output: BufReader<ChildStdout>,
}

impl Provider {
    fn start(sidecar: &str) -> Self {
        let folder = env::var_os("AUDIT_TEST_OIDC").expect("AUDIT_TEST_OIDC is set; `make test` creates the folder");
        let mut program = Command::new("node")
            .arg(Path::new(&folder).join("provider.mjs"))
            .args([format!("{sidecar}/admin/single-sign-on/callback"), format!("{sidecar}/admin/login?ended=1")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node of the Debian package nodejs starts");
        let mut output = BufReader::new(program.stdout.take().unwrap());
        let mut issuer = String::new();
        output.read_line(&mut issuer).unwrap();
        assert!(issuer.starts_with("http://"), "the provider prints its issuer, not \"{issuer}\"");
        Self { issuer: issuer.trim().to_owned(), _program: program, _output: output }
    }
}

async fn find(client: &Client, selector: &str) -> fantoccini::elements::Element {
    client.wait().for_element(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
}

async fn press(client: &Client, selector: &str) {
    find(client, selector).await.click().await.unwrap();
}

/// Signs in from the login page, with any password.
async fn sign_in(client: &Client, person: &str) {
    press(client, "a[href^='/admin/single-sign-on?']").await;
    find(client, "input[name=login]").await.send_keys(person).await.unwrap();
    find(client, "input[name=password]").await.send_keys("any").await.unwrap();
    press(client, "button[type=submit]").await;
    // The provider asks once whether the sidecar may know who the person is.
    find(client, "input[name=prompt][value=consent]").await;
    press(client, "button[type=submit]").await;
}

#[tokio::test]
async fn a_person_signs_in_and_out_at_a_provider() {
    // The provider must know the address of the sidecar, and the sidecar that of the provider.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let base = format!("http://{address}");
    let provider = Provider::start(&base);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("secret"), "a secret: 100% +/&=\n").unwrap();
    let settings = format!(
        "[[issuer]]\nissuer = \"{}\"\nrule = [{{ claim = \"groups\", value = \"auditors\", role = \"auditor\", workspace = \"acme\" }}]\n\
         [issuer.login]\nname = \"Test & Co\"\nclient_id = \"audit\"\nclient_secret_file = \"{}\"\nscopes = [\"profile\"]\n",
        provider.issuer,
        path("secret")
    );
    fs::write(path("settings"), settings).unwrap();
    let db = Database::new();
    let database = db.connect().await;
    run(&database, "SELECT audit.append('seen_by_ada', 'acme'); SELECT audit.append('foreign', 'globex')").await;
    let role = db.role(&["audit_sidecar"]);
    let dsn = db.cluster().dsn(db.name(), &role);
    let flags = ["--listen", &address, "--public-url", &base, "--identity-providers", &path("settings")];
    let sidecar = Sidecar::serve(&dsn, &flags).unwrap();

    // The pages of the provider name fonts of another host.
    let browser = Browser::start_with(1000, 900, &["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]).await;
    let client = &browser.client;
    client.goto(&format!("{base}/admin/log?action=seen_by_ada")).await.unwrap();
    assert_eq!(find(client, "a[href^='/admin/single-sign-on?']").await.text().await.unwrap(), "Sign in with Test & Co");
    sign_in(client, "ada").await;
    let who = find(client, ".who-text").await.text().await.unwrap();
    assert_eq!(who, "ada of the test\nauditor, workspace acme");
    let url = client.current_url().await.unwrap();
    assert_eq!((url.path(), url.query()), ("/admin/log", Some("action=seen_by_ada")));

    // Signing out ends the session here and at the provider.
    press(client, "form[action='/admin/logout'] button").await;
    press(client, "button[name=logout]").await;
    assert_eq!(find(client, ".note").await.text().await.unwrap(), "You are logged out.");
    client.goto(&format!("{base}/admin/log")).await.unwrap();
    assert_eq!(client.current_url().await.unwrap().path(), "/admin/login");

    // A person whom no rule accepts gets no session.
    sign_in(client, "eve").await;
    let problem = find(client, "#problem").await.text().await.unwrap();
    assert!(problem.contains("gives you no role"), "{problem}");
    sidecar.log_line(&[&format!("no rule matches the claims of {}#eve", provider.issuer)]);
    let log = sidecar.log();
    assert!(!log.contains("code=") && !log.contains("100%"), "{log}");

    let events = all::<String>(
        &database,
        "SELECT action || ' ' || outcome || ' ' || replace(actor, $1, 'ISSUER') FROM audit.event \
         WHERE action LIKE 'session%' OR action = 'api_token_created' ORDER BY id",
        &[&provider.issuer],
    )
    .await;
    assert_eq!(
        events,
        [
            "api_token_created success system:admin",
            "session_started success ISSUER#ada",
            "session_ended success ISSUER#ada",
            "session_refused denied system:admin"
        ]
    );
    browser.close().await;
}

//! TLS between the sidecar and PostgreSQL.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use audit_harness::sidecar::{Sidecar, command};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::http::Request;

/// A cluster that accepts TCP connections only with TLS. Its certificate is for `localhost`.
struct Server {
    db: Database,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Server {
    fn start() -> Self {
        let authority = authority();
        let server = Self { db: Database::on_own_cluster(&Options::preloaded()), authority };
        server.write("ca.pem", &server.authority.pem());
        server.write("stranger.pem", &self::authority().pem());
        server.issue("server", "localhost");
        let hba = server.db.cluster().dir().join("data/pg_hba.conf");
        let local = "local all all trust\n";
        let with_certificate = "hostssl all certified 127.0.0.1/32 cert\n";
        fs::write(hba, format!("{local}{with_certificate}hostssl all all 127.0.0.1/32 scram-sha-256\n")).unwrap();
        for (setting, file) in
            [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key"), ("ssl_ca_file", "ca.pem")]
        {
            server.db.psql(&format!("ALTER SYSTEM SET {setting} = '{}'", server.path(file).display()));
        }
        server.db.psql("ALTER SYSTEM SET ssl = on");
        server.db.psql("SELECT pg_reload_conf()");
        server.db.psql("CREATE ROLE certified LOGIN; GRANT audit_sidecar TO certified");
        server
    }

    /// Writes a certificate for a name, and its key.
    fn issue(&self, file: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = parameters.signed_by(&key, &self.authority).unwrap();
        self.write(&format!("{file}.pem"), &certificate.pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    fn write(&self, file: &str, content: &str) {
        fs::write(self.path(file), content).unwrap();
        fs::set_permissions(self.path(file), fs::Permissions::from_mode(0o600)).unwrap();
        self.db.cluster().own(&self.path(file)).unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.db.cluster().dir().join(file)
    }

    /// Returns a connection string by TCP. `{dir}` in `more` is the folder of the certificates.
    fn dsn(&self, host: &str, role: &str, more: &str) -> String {
        let port = self.db.psql("SHOW port");
        let more = more.replace("{dir}", &self.db.cluster().dir().display().to_string());
        format!("host={host} port={port} dbname={} user={role} password=audit {more}", self.db.name())
    }
}

/// Returns a certificate authority.
pub fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn each_mode_accepts_the_servers_that_libpq_accepts() {
    let server = Server::start();
    server.issue("client", "certified");
    let role = server.db.role(&["audit_sidecar"]);
    let identity = "sslcert={dir}/client.pem sslkey={dir}/client.key";
    for (host, role, more, is_accepted) in [
        ("localhost", &*role, "sslmode=disable", false),
        ("localhost", &role, "", true),
        ("localhost", &role, "sslmode=prefer", true),
        ("127.0.0.1", &role, "sslmode=require", true),
        ("localhost", &role, "sslmode=require channel_binding=require", true),
        ("127.0.0.1", &role, "sslmode=require sslrootcert={dir}/stranger.pem", false),
        ("127.0.0.1", &role, "sslmode=verify-ca sslrootcert={dir}/ca.pem", true),
        ("127.0.0.1", &role, "sslmode=verify-ca sslrootcert={dir}/stranger.pem", false),
        ("127.0.0.1", &role, "sslmode=verify-full sslrootcert={dir}/ca.pem", false),
        ("localhost", &role, "sslmode=verify-full sslrootcert={dir}/ca.pem", true),
        ("localhost", &role, "sslmode=verify-full sslrootcert={dir}/stranger.pem", false),
        ("localhost", &role, "sslrootcert=system", false),
        ("localhost", "certified", "sslmode=require", false),
        ("localhost", "certified", &format!("sslmode=require {identity}"), true),
        ("localhost", "certified", &format!("sslmode=verify-full sslrootcert={{dir}}/ca.pem {identity}"), true),
    ] {
        let dsn = server.dsn(host, role, more);
        let mut psql = server.db.cluster().command("psql");
        psql.env("HOME", "/nonexistent").args(["-XqAtc", "SELECT 1", &dsn.replace(" sslrootcert=system", "")]);
        if more != "sslrootcert=system" {
            let output = psql.output().unwrap();
            assert_eq!(output.status.success(), is_accepted, "{more}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let output = command(&dsn).unwrap().args(["token", "list"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_accepted, "{host} {role} {more}: {told}");
        assert!(is_accepted || told.contains("database"), "{more}: {told}");
    }
}

#[tokio::test]
async fn every_connection_of_a_sidecar_is_encrypted() {
    let server = Server::start();
    let client = server.db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme') FROM generate_series(1, 1000)").await;
    let role = server.db.role(&["audit_sidecar"]);
    let key = tempfile::tempdir().unwrap();
    let signing = key.path().join("key");
    let dsn = server.dsn("localhost", &role, "sslmode=verify-full sslrootcert={dir}/ca.pem");
    let made =
        command(&dsn).unwrap().args(["key", "create", "--name", "a.example/log", "-o"]).arg(&signing).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let state = key.path().join("state");
    fs::create_dir(&state).unwrap();
    let flags = ["--listen", "127.0.0.1:0", "--checkpoint-interval", "1s", "--signing-key", signing.to_str().unwrap()];
    let flags = [&flags[..], &["--signing-state", state.to_str().unwrap()]].concat();
    let sidecar = Sidecar::serve(&dsn, &flags).unwrap();
    let auditor = sidecar.token("auditor", Some("acme"));
    for path in ["/v1/events?max_rows=5", "/v1/packs/export?since=2026-01-01", "/v1/workspaces/acme/feed"] {
        Request::get(path).token(&auditor).send(&sidecar).ok();
    }
    let encrypted = "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = $1";
    assert_eq!(all::<bool>(&client, encrypted, &[&role]).await, [true]);
    let signed = "SELECT count(*) > 0 FROM audit.checkpoint";
    assert!(one::<bool>(&client, signed, &[]).await, "{}", sidecar.log());
}

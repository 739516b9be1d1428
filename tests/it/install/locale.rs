//! Databases whose locale has other rules for upper and lower case.

use audit_harness::database::Database;
use audit_harness::query::{one, refused, run};

#[tokio::test]
async fn turkish_rules_for_the_letter_i_do_not_matter() {
    let db = Database::with_icu_locale("tr-TR");
    let client = db.connect().await;
    assert_eq!(one::<String>(&client, "SELECT lower('HIPAA')", &[]).await, "hıpaa");
    for name in ["HIPAA", "hipaa", "Hipaa"] {
        assert_eq!(one::<String>(&client, "SELECT audit.preset($1)::text", &[&name]).await, "6 years", "{name}");
    }
    assert_eq!(one::<String>(&client, "SELECT audit.preset('PCI-DSS')::text", &[]).await, "1 year");
    for call in ["audit.maintain()", "audit.seal()"] {
        run(&client, "BEGIN ISOLATION LEVEL SERIALIZABLE").await;
        let error = refused(&client, &format!("SELECT {call}"), "25000").await;
        assert!(error.message().contains("in a SERIALIZABLE transaction"), "{}", error.message());
        run(&client, "ROLLBACK").await;
    }
}

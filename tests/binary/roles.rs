//! Roles that the settings name no more while accounts have them.

use serde_json::{Value, json};

use crate::process::{Outcome, Program, dev};

const PASSWORD: &str = "an engine weaves patterns\n";

fn finding(outcome: &Outcome) -> (String, String) {
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let all = findings.as_array().or(findings["findings"].as_array()).expect("findings");
    let about = all.iter().find(|finding| finding["subject"] == "roles").expect("something about roles");
    let text = |name: &str| about[name].as_str().expect("text").to_owned();
    (text("condition"), text("text"))
}

#[tokio::test]
async fn a_role_that_accounts_have_is_not_taken_out_of_the_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let command = async |arguments: &[&str], roles: &str| {
        Program::new(folder, arguments).variable("HALLPASS_ROLES", roles).input(PASSWORD).run().await
    };
    dev(folder).start().stop().await;
    for address in ["ada@example.com", "bob@example.com"] {
        let made = command(&["users", "create", address, "--password-stdin"], "").await;
        assert_eq!(made.code, Some(0), "{made:?}");
    }
    let unknown = command(&["users", "set-role", "ada@example.com", "editor"], "").await;
    assert!(unknown.code == Some(1) && unknown.stderr.contains("admin, member"), "{unknown:?}");
    let both = "editor,support";
    for (address, roles) in
        [("ada@example.com", &["editor", "support"][..]), ("bob@example.com", &["editor"])]
    {
        let set = command(&[&["users", "set-role", address], roles].concat(), both).await;
        assert_eq!(set.code, Some(0), "{set:?}");
    }
    let shown = command(&["users", "get", "ada@example.com", "--json"], both).await;
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!((&shown["roles"], &shown["role"]), (&json!(["editor", "support"]), &json!("member")));

    let start = async |roles: &str| dev(folder).variable("HALLPASS_ROLES", roles).run().await;
    for (left, said) in [("", "editor (2 accounts), support (1 account)"), ("editor", "support (1 account)")]
    {
        let refused = start(left).await;
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains(&format!("does not name: {said};")), "{refused:?}");
        let (condition, text) = finding(&command(&["doctor", "--json"], left).await);
        assert!(condition == "bad" && text.contains(said), "{condition}: {text}");
    }
    dev(folder).variable("HALLPASS_ROLES", both).start().stop().await;
    assert_eq!(finding(&command(&["doctor", "--json"], both).await).0, "good");
    // Once nobody has it, it can go.
    let set = command(&["users", "set-role", "ada@example.com", "member"], both).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    dev(folder).variable("HALLPASS_ROLES", "editor").start().stop().await;
}

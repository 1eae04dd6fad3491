//! `docker-compose.yml` with `.env.example`, as Compose itself reads them: which settings arrive, and that
//! they are settings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::Program;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What nobody may leave out.
const FILLED_IN: [(&str, &str); 4] = [
    ("HALLPASS_SECRET", "0123456789abcdefghijklmnopqrstuvwxyz"),
    ("HALLPASS_PUBLIC_URL", "https://auth.example.com"),
    ("REDIS_PASSWORD", "5ec1e7"),
    ("POSTGRES_PASSWORD", "0b5c0e"),
];

/// Compose of either generation, with nothing in its environment.
fn compose(folder: &Path) -> Command {
    let has_own_program = Command::new("docker-compose").arg("version").output().is_ok();
    let mut command = Command::new(if has_own_program { "docker-compose" } else { "docker" });
    if !has_own_program {
        command.arg("compose");
    }
    command.current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    command
}

/// A folder with the two files, the second filled in by these names.
fn folder(values: &[(&str, &str)], more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(Path::new(ROOT).join("docker-compose.yml"), folder.path().join("docker-compose.yml"))
        .expect("a copy");
    let mut text = fs::read_to_string(Path::new(ROOT).join(".env.example")).expect("the example");
    for (name, value) in values {
        assert!(text.contains(&format!("\n{name}=\n")), "{name} stands in .env.example, without a value");
        text = text.replace(&format!("\n{name}=\n"), &format!("\n{name}={value}\n"));
    }
    fs::write(folder.path().join(".env"), text + more).expect("a file");
    folder
}

/// The environment that a service gets, out of what `config` prints: sorted YAML, a scalar on each line.
fn environment(config: &str, service: &str) -> BTreeMap<String, String> {
    let lines = config.lines().skip_while(|line| *line != format!("  {service}:")).skip(1);
    let lines = lines.take_while(|line| line.starts_with("    "));
    let lines = lines.skip_while(|line| *line != "    environment:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("      "));
    let pair = |line: &str| {
        let (name, value) = line.trim().split_once(": ").unwrap_or_else(|| panic!("no scalar: {line}"));
        let value = value.trim_matches(['\'', '"']).replace("$$", "$");
        (name.to_owned(), value)
    };
    lines.map(pair).collect()
}

fn config(folder: &Path) -> String {
    let output = compose(folder).arg("config").output().expect("the program `docker-compose`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Every setting of the example, those that stand there as comments as well.
fn commented_out() -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(".env.example")).expect("the example");
    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()) && line.contains('=')).fold(
        String::new(),
        |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        },
    )
}

#[tokio::test]
async fn every_setting_of_env_reaches_the_service_and_is_one() {
    let more = "HALLPASS_TOKENS__ACCESS_TTL=5m\n\
        HALLPASS_RATE_LIMITS__LOGIN__PER_IP=60/1m\n\
        HALLPASS_REGISTRATION__VERIFY_EMAIL=true\n\
        HALLPASS_LISTEN=127.0.0.1:1\n";
    let commented_out = commented_out();
    assert!(
        commented_out.contains("HALLPASS_ADMIN__EMAIL=") && commented_out.contains("HALLPASS_CORS__ORIGINS=")
    );
    let folder = folder(&FILLED_IN, &(commented_out + more));
    let config = config(folder.path());
    let environment = environment(&config, "hallpass");

    let file = fs::read_to_string(folder.path().join(".env")).expect("the file");
    let given: BTreeMap<&str, &str> = file
        .lines()
        .filter(|line| line.starts_with("HALLPASS_"))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('\'')))
        .collect();
    assert!(given.len() > 12, "{given:?}");
    for (name, value) in given {
        // Inside its container it listens where the port leads, and keeps its data where the volume is.
        let expected = if name == "HALLPASS_LISTEN" { "0.0.0.0:8080" } else { value };
        assert_eq!(environment.get(name).map(String::as_str), Some(expected), "{name}");
    }
    assert_eq!(environment["DATABASE_URL"], "postgres://hallpass:0b5c0e@postgres/hallpass");
    assert_eq!(environment["REDIS_URL"], "redis://:5ec1e7@redis:6379/0");

    // The data folder is the container's.
    let checked = Program::new(folder.path(), &["config", "check"]);
    let checked = environment
        .iter()
        .filter(|(name, _)| *name != "HALLPASS_DATA_DIR")
        .fold(checked, |program, (name, value)| program.variable(name, value));
    let outcome = checked.run().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn what_has_no_value_yet_is_asked_for() {
    for (missing, _) in FILLED_IN {
        let given: Vec<_> = FILLED_IN.into_iter().filter(|(name, _)| *name != missing).collect();
        let folder = folder(&given, "");
        let output = compose(folder.path()).arg("config").output().expect("the program `docker-compose`");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(missing), "{missing}: {said}");
    }
}

//! `docs/recipes/Caddyfile`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::gate::{self, asks_about_each_request};
use super::{Places, program, recipe};

/// Where it listens, by the recipe.
const OWN_PORT: &str = "http://:8000";

fn write(folder: &Path, places: Places) -> Command {
    let file = folder.join("Caddyfile");
    let text = recipe("Caddyfile", places, [0, 1, 1]);
    assert_eq!(text.matches(OWN_PORT).count(), 1);
    let own = format!("http://:{}", places.own.port());
    fs::write(&file, text.replace(OWN_PORT, &own)).expect("a file");
    let mut command = Command::new(program("caddy", "caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file).current_dir(folder);
    // It leaves nothing outside its folder, and listens to its administrator nowhere else.
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command.env("CADDY_ADMIN", format!("unix/{}", folder.join("admin").display()));
    command
}

asks_about_each_request!(write);

fn write_for_administrators(folder: &Path, places: Places) -> Command {
    let command = write(folder, places);
    let file = folder.join("Caddyfile");
    let text = fs::read_to_string(&file).expect("a file");
    let (question, by_the_comment) = ("uri /forward-auth?\n", "/forward-auth?role=admin");
    assert!(text.matches(question).count() == 1 && text.contains(by_the_comment));
    fs::write(file, text.replace(question, &format!("uri {by_the_comment}\n"))).expect("a file");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lets_administrators_alone_through() {
    gate::lets_administrators_alone_through(write_for_administrators).await;
}

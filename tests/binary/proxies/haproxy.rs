//! `docs/recipes/haproxy.cfg` and `haproxy.lua`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::gate::{self, asks_about_each_request};
use super::{Places, program, recipe};

/// Where the recipe has the other file.
const LUA_PATH: &str = "/etc/haproxy/hallpass.lua";

fn write(folder: &Path, places: Places) -> Command {
    let (file, lua) = (folder.join("haproxy.cfg"), folder.join("hallpass.lua"));
    let text = recipe("haproxy.cfg", places, [1, 1, 1]);
    assert_eq!(text.matches(LUA_PATH).count(), 1);
    fs::write(&file, text.replace(LUA_PATH, &lua.to_string_lossy())).expect("a file");
    fs::write(lua, recipe("haproxy.lua", places, [0, 0, 0])).expect("a file");
    let mut command = Command::new(program("haproxy", "haproxy"));
    // In the foreground.
    command.arg("-db").arg("-f").arg(file).current_dir(folder);
    command
}

asks_about_each_request!(write);

fn write_for_administrators(folder: &Path, places: Places) -> Command {
    let command = write(folder, places);
    let file = folder.join("haproxy.cfg");
    let text = fs::read_to_string(&file).expect("a file");
    let question = format!("http://{}/forward-auth\n", places.hallpass);
    assert!(text.matches(&question).count() == 1 && text.contains("/forward-auth?role=admin"));
    let asked = format!("http://{}/forward-auth?role=admin\n", places.hallpass);
    fs::write(file, text.replace(&question, &asked)).expect("a file");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lets_administrators_alone_through() {
    gate::lets_administrators_alone_through(write_for_administrators).await;
}

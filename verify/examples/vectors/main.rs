//! Writes the vectors of `verify/vectors`, and is this crate's probe; the README there says what both are.

mod cases;
mod feeds;
mod files;
mod keys;
mod probe;
mod tokens;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::{env, fs, io};

use probe::Probe;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder] => write(Path::new(folder)),
        ["probe"] => answer(io::stdin().lock(), io::stdout().lock()),
        _ => Err("vectors write FOLDER | vectors probe".into()),
    }
}

/// Writes all files anew.
fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (file, text) in files::files(folder) {
        fs::write(folder.join(file), text)?;
    }
    Ok(())
}

/// Answers line by line.
fn answer(lines: impl BufRead, mut answers: impl Write) -> Result<(), Box<dyn Error>> {
    let mut probe = Probe::default();
    for line in lines.lines() {
        writeln!(answers, "{}", probe.answer(&serde_json::from_str(&line?)?))?;
        answers.flush()?;
    }
    Ok(())
}

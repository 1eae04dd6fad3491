//! Writes the vectors of `verify/vectors`, and is this crate's probe; the README there says what both are.

mod cases;
mod feeds;
mod files;
mod keys;
mod live;
mod mutations;
mod probe;
mod tokens;

use std::error::Error;
use std::io::{BufRead, BufWriter, Write};
use std::path::Path;
use std::{env, fs, io};

use probe::Probe;

const USAGE: &str = "vectors write FOLDER | mutate SEED COUNT | probe | probe live ISSUER AUDIENCE CLIENT";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder] => write(Path::new(folder)),
        ["mutate", seed, count] => mutate(seed.parse()?, count.parse()?),
        ["probe"] => answer(io::stdin().lock(), io::stdout().lock()),
        ["probe", "live", issuer, audience, client] => live::run(issuer, audience, client),
        _ => Err(USAGE.into()),
    }
}

/// Writes all files anew.
fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (file, text) in files::files(folder) {
        fs::write(folder.join(file), text)?;
    }
    Ok(())
}

/// Writes lines with altered tokens.
fn mutate(seed: u64, count: usize) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut outcome = Ok(());
    mutations::lines(seed, count, |line| {
        if outcome.is_ok() {
            outcome = writeln!(out, "{line}");
        }
    });
    outcome?;
    Ok(out.flush()?)
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

//! The files of `verify/vectors`.

use std::fs;
use std::path::Path;

use crate::keys::Signers;
use crate::{feeds, tokens};

/// The files of a folder as they should be. ES256 signatures are taken from those that are there.
pub fn files(folder: &Path) -> [(&'static str, String); 2] {
    let written = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let signers = Signers::load(&(written("tokens.jsonl") + &written("feeds.jsonl")));
    [("tokens.jsonl", tokens::lines(&signers).written()), ("feeds.jsonl", feeds::lines(&signers).written())]
}

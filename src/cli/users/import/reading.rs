//! Reading the files, ahead of the one that writes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use crate::service::user_import::{Entries, EntriesError, Entry, Format, Place, UserImport};

/// How many entries go from the thread that reads to the one that writes at once, and about how many
/// bytes: whichever comes first.
const CHUNK_ENTRIES: usize = 500;
const CHUNK_BYTES: usize = 256 * 1024;

/// How many such chunks may wait.
const CHUNKS: usize = 4;

/// Some entries of one file.
pub(super) struct Chunk {
    /// Which of the files.
    pub(super) file: usize,
    pub(super) entries: Vec<(Place, Entry)>,
}

/// A file cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read", file.display())]
pub(super) struct ReadError {
    file: PathBuf,
    source: EntriesError,
}

/// The files, open, and a bar that moves as they are read.
pub(super) struct Input {
    files: Vec<(PathBuf, Box<dyn Read + Send>)>,
    bar: ProgressBar,
}

impl Input {
    /// Opens all files; `-` is standard input, whose end nobody knows. The bar shows on a terminal alone.
    pub(super) fn open(names: Vec<PathBuf>) -> Result<Self, (PathBuf, io::Error)> {
        let mut files: Vec<(PathBuf, Box<dyn Read + Send>)> = Vec::new();
        let mut length = Some(0);
        for name in names {
            if name == Path::new("-") {
                length = None;
                files.push((name, Box::new(io::stdin())));
                continue;
            }
            match File::open(&name).and_then(|file| Ok((file.metadata()?.len(), file))) {
                Ok((bytes, file)) => {
                    length = length.map(|length| length + bytes);
                    files.push((name, Box::new(file)));
                }
                Err(error) => return Err((name, error)),
            }
        }
        let bar = match length {
            Some(length) => ProgressBar::new(length)
                .with_style(style("{wide_bar} {percent}%, {msg} [{elapsed}, {eta} to go]")),
            None => ProgressBar::new_spinner().with_style(style("{bytes} read, {msg} [{elapsed}]")),
        };
        Ok(Self { files, bar })
    }

    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    pub(super) fn names(&self) -> Vec<PathBuf> {
        self.files.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Reads on a thread of its own, as far ahead as few chunks go. The thread may stand in a read for
    /// ever (standard input), so nobody waits for it.
    pub(super) fn read_on_a_thread(
        self,
        format: &'static Format,
    ) -> mpsc::Receiver<Result<Chunk, ReadError>> {
        let (send, receive) = mpsc::channel(CHUNKS);
        std::thread::spawn(move || {
            for (number, (name, reader)) in self.files.into_iter().enumerate() {
                let reader = BufReader::with_capacity(CHUNK_BYTES, self.bar.wrap_read(reader));
                if let Err(source) = read_file(format, reader, number, &send) {
                    // Nobody takes it once the import has ended.
                    let _ = send.blocking_send(Err(ReadError { file: name, source }));
                    return;
                }
            }
        });
        receive
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Sends what is in one file, all of it that stands before an error included.
fn read_file(
    format: &Format,
    reader: impl io::BufRead,
    file: usize,
    send: &mpsc::Sender<Result<Chunk, ReadError>>,
) -> Result<(), EntriesError> {
    let mut entries = UserImport::entries(format, reader)?;
    loop {
        let (chunk, next) = next_chunk(&mut entries);
        if !chunk.is_empty() && send.blocking_send(Ok(Chunk { file, entries: chunk })).is_err() {
            return Ok(());
        }
        match next {
            Next::More => {}
            Next::End => return Ok(()),
            Next::Broken(error) => return Err(error),
        }
    }
}

/// What follows some entries.
enum Next {
    /// Others, perhaps.
    More,
    /// The end of the file.
    End,
    /// What cannot be read.
    Broken(EntriesError),
}

fn next_chunk(entries: &mut Entries<impl io::BufRead>) -> (Vec<(Place, Entry)>, Next) {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while chunk.len() < CHUNK_ENTRIES && bytes < CHUNK_BYTES {
        match entries.next() {
            Some(Ok((place, entry))) => {
                bytes += entry.size();
                chunk.push((place, entry));
            }
            Some(Err(error)) => return (chunk, Next::Broken(error)),
            None => return (chunk, Next::End),
        }
    }
    (chunk, Next::More)
}

//! The entries of a file that somebody else wrote, one person each, in bounded memory: lines, the elements
//! of a JSON array, or the rows of a table.

mod elements;
mod lines;
mod rows;

use std::io::{self, BufRead};

use serde_json::{Map, Value};

use elements::Elements;
use lines::Lines;
use rows::Rows;

/// The most bytes that an entry may have in the files of other systems, which keep much about a person.
pub const ENTRY_MAX_BYTES: usize = 1024 * 1024;

pub use lines::LINE_MAX_BYTES;

/// Some programs put it before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// The text of a JSON value.
    Text(Vec<u8>),
    /// A row, by the names of its columns.
    Row(Map<String, Value>),
    /// A row that has more or fewer values than there are columns, or other bytes than UTF-8.
    BrokenRow,
    /// More bytes than an entry may have: read past, not kept.
    TooLong {
        /// The most it may have.
        max: usize,
    },
}

impl Entry {
    /// About how many bytes it holds.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Row(row) => row.values().map(|value| value.as_str().map_or(0, str::len)).sum(),
            Self::BrokenRow | Self::TooLong { .. } => 0,
        }
    }
}

/// How entries are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line that the entry begins in, from 1 on.
    Line(u64),
    /// The position in the array, from 1 on.
    Element(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Element(number) => write!(f, "element {number}"),
        }
    }
}

/// Why the entries of a file end before the file does.
#[derive(Debug, thiserror::Error)]
pub enum EntriesError {
    /// It cannot be read on.
    #[error("it cannot be read on")]
    Read(#[from] io::Error),
    /// There is no array of people.
    #[error("it is neither a JSON array nor a JSON object with an array {0:?}")]
    NoArray(&'static str),
    /// It is no JSON from some element on.
    #[error("it is no JSON behind element {0}")]
    BrokenBehind(u64),
    /// It has no first line that names the columns.
    #[error("its first line does not name a column {0:?}")]
    NoHead(&'static str),
    /// A row does not end.
    #[error(
        "the row that begins in line {line} is longer than {ENTRY_MAX_BYTES} bytes: a quotation mark may be missing"
    )]
    EndlessRow {
        /// Where it begins.
        line: u64,
    },
}

/// How the entries stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One JSON object a line, each of at most [`LINE_MAX_BYTES`].
    Lines,
    /// An array, or one JSON object a line.
    ArrayOrLines,
    /// An array, or an object with an array of that name.
    Document(&'static str),
    /// Comma-separated values (RFC 4180) below the names of the columns, of which that one is indispensable.
    Table(&'static str),
    /// Such a table, or an object with an array of that name.
    TableOrDocument(&'static str, &'static str),
}

/// The entries of a file in their order, with their places.
pub struct Entries<R>(Kind<R>);

enum Kind<R> {
    Lines(Lines<R>),
    Elements(Elements<R>),
    Rows(Box<Rows<R>>),
}

impl<R: BufRead> Entries<R> {
    /// The entries of what `reader` reads.
    ///
    /// # Errors
    /// [`EntriesError`] when there is nothing of that layout.
    pub(super) fn new(layout: Layout, mut reader: R) -> Result<Self, EntriesError> {
        let first = |reader: &mut R| elements::first_byte(reader);
        Ok(Self(match layout {
            Layout::Lines => Kind::Lines(Lines::new(reader, LINE_MAX_BYTES)),
            Layout::ArrayOrLines => match first(&mut reader)? {
                Some(b'[') => Kind::Elements(Elements::new(reader, "")?),
                _ => Kind::Lines(Lines::new(reader, ENTRY_MAX_BYTES)),
            },
            Layout::Document(member) => Kind::Elements(Elements::new(reader, member)?),
            Layout::Table(column) => Kind::Rows(Box::new(Rows::new(reader, column)?)),
            Layout::TableOrDocument(column, member) => match first(&mut reader)? {
                Some(b'{' | b'[') => Kind::Elements(Elements::new(reader, member)?),
                _ => Kind::Rows(Box::new(Rows::new(reader, column)?)),
            },
        }))
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = Result<(Place, Entry), EntriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Kind::Lines(lines) => {
                let line = lines.next()?.map(|(number, entry)| (Place::Line(number), entry));
                Some(line.map_err(EntriesError::Read))
            }
            Kind::Elements(elements) => elements.next(),
            Kind::Rows(rows) => rows.next(),
        }
    }
}

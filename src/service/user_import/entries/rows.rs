//! The rows of a table of comma-separated values (RFC 4180), whose first line names the columns.

use std::io::{self, BufRead, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::elements::first_byte;
use super::{ENTRY_MAX_BYTES, EntriesError, Entry, Place};

/// How much the reader of rows may have read beyond the row that it is at: its own buffer, bytes.
const READ_AHEAD: usize = 64 * 1024;

/// Rows with the lines that they begin in.
pub(super) struct Rows<R> {
    rows: Reader<Bounded<R>>,
    columns: Vec<String>,
    row: ByteRecord,
    over: bool,
}

impl<R: BufRead> Rows<R> {
    /// The rows of a table that has that column.
    pub(super) fn new(mut reader: R, column: &'static str) -> Result<Self, EntriesError> {
        first_byte(&mut reader)?;
        let bounded = Bounded::new(reader);
        let mut rows = ReaderBuilder::new().buffer_capacity(READ_AHEAD).from_reader(bounded);
        rows.get_mut().refill();
        let columns = rows.byte_headers().map_err(|error| failed(error, 1))?;
        let columns: Vec<String> =
            columns.iter().map(|name| String::from_utf8_lossy(name).trim().to_lowercase()).collect();
        if !columns.iter().any(|name| name == column) {
            return Err(EntriesError::NoHead(column));
        }
        Ok(Self { rows, columns, row: ByteRecord::new(), over: false })
    }

    fn next_row(&mut self) -> Result<Option<(u64, Entry)>, EntriesError> {
        let before = self.rows.position().line();
        self.rows.get_mut().refill();
        let entry = match self.rows.read_byte_record(&mut self.row) {
            Ok(false) => return Ok(None),
            Ok(true) => self.entry(),
            Err(error) if matches!(error.kind(), csv::ErrorKind::UnequalLengths { .. }) => Entry::BrokenRow,
            Err(error) => return Err(failed(error, before)),
        };
        // The reader is in the line behind the row, whose own lines ends are in its values; blank lines that
        // it has passed over stand before.
        let within = self.row.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Some((self.rows.position().line().saturating_sub(within + 1), entry)))
    }

    /// The values that are there: what is empty is as good as nothing.
    fn entry(&self) -> Entry {
        if self.row.as_slice().len() > ENTRY_MAX_BYTES {
            return Entry::TooLong { max: ENTRY_MAX_BYTES };
        }
        let mut row = Map::new();
        for (column, value) in self.columns.iter().zip(&self.row) {
            let Ok(value) = std::str::from_utf8(value) else { return Entry::BrokenRow };
            if !value.is_empty() {
                row.insert(column.clone(), Value::String(value.to_owned()));
            }
        }
        Entry::Row(row)
    }
}

/// An error of the reader: only what it has of reading is told, never the row.
fn failed(error: csv::Error, line: u64) -> EntriesError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<TooMuch>()) => {
            EntriesError::EndlessRow { line }
        }
        csv::ErrorKind::Io(error) => EntriesError::Read(error),
        _ => EntriesError::Read(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<(Place, Entry), EntriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let row = self.next_row().transpose();
        self.over = !matches!(row, Some(Ok(_)));
        Some(row?.map(|(line, entry)| (Place::Line(line), entry)))
    }
}

/// A reader that stops within a row which does not end, as one without its last quotation mark would take
/// all the rest of the file. It gives LF for CRLF and one behind the last row, so that lines can be counted.
struct Bounded<R> {
    reader: R,
    left: usize,
    /// A carriage return that was read and not given yet.
    has_return: bool,
    is_at_line_end: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("too much for one row")]
struct TooMuch;

impl<R> Bounded<R> {
    fn new(reader: R) -> Self {
        Self { reader, left: 0, has_return: false, is_at_line_end: true }
    }

    fn refill(&mut self) {
        self.left = ENTRY_MAX_BYTES + READ_AHEAD;
    }

    /// What to give for a byte that was read, and with it for a carriage return before it.
    fn give(&mut self, byte: u8) -> impl Iterator<Item = u8> + use<R> {
        let before = (self.has_return && byte != b'\n').then_some(b'\r');
        self.has_return = byte == b'\r';
        self.is_at_line_end = byte == b'\n';
        before.into_iter().chain((byte != b'\r').then_some(byte))
    }
}

impl<R: BufRead> Read for Bounded<R> {
    /// Into a buffer of two bytes at least: as many as may come of one.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(TooMuch));
        }
        let room = buffer.len().min(self.left.max(2)).saturating_sub(1);
        let mut given = 0;
        while given == 0 {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                if self.is_at_line_end {
                    return Ok(0);
                }
                given = put(buffer, given, self.give(b'\n'));
                continue;
            }
            let bytes: Vec<u8> = available.iter().take(room).copied().collect();
            let mut taken = 0;
            for byte in &bytes {
                if given >= room {
                    break;
                }
                given = put(buffer, given, self.give(*byte));
                taken += 1;
            }
            self.reader.consume(taken);
        }
        self.left = self.left.saturating_sub(given);
        Ok(given)
    }
}

/// Puts bytes behind those that are there; answers how many there are then.
fn put(buffer: &mut [u8], mut count: usize, bytes: impl Iterator<Item = u8>) -> usize {
    for byte in bytes {
        if let Some(place) = buffer.get_mut(count) {
            *place = byte;
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(table: &str) -> Result<Vec<(u64, Entry)>, String> {
        let rows = Rows::new(table.as_bytes(), "email").map_err(|error| error.to_string())?;
        let line = |(place, entry)| match place {
            Place::Line(line) => (line, entry),
            Place::Element(number) => panic!("element {number}"),
        };
        rows.map(|row| row.map(line).map_err(|error| error.to_string())).collect()
    }

    fn row(value: Value) -> Entry {
        let Value::Object(row) = value else { panic!("{value}") };
        Entry::Row(row)
    }

    #[test]
    fn rows_have_the_names_of_their_columns_and_the_lines_that_they_begin_in() {
        let table = "\u{feff}Email,name\r\nada@example.com,\"Ada, \"\"Countess\"\"\r\nof Lovelace\"\r\n\r\nbob@example.com,\r\n";
        assert_eq!(
            rows(table).expect("a table"),
            [
                (2, row(json!({ "email": "ada@example.com", "name": "Ada, \"Countess\"\nof Lovelace" }))),
                (5, row(json!({ "email": "bob@example.com" }))),
            ]
        );
    }

    #[test]
    fn lines_are_counted_however_they_end() {
        for (table, expected) in [
            ("email\na\nb", [2, 3]),
            ("email\r\na\r\nb\r\n", [2, 3]),
            ("email\n\n\na\n\nb\n\n", [4, 6]),
            ("email\r\n\"a\r\n\r\n\"\r\n\r\n\"b\nc\"", [2, 6]),
            ("email,x\na\nb,\"c\n\"\n", [2, 3]),
        ] {
            let lines: Vec<u64> = rows(table).expect("a table").into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, expected, "{table:?}");
        }
        let found = rows("email,name\na,b\rc,\"d\re\"\n").expect("a table");
        assert_eq!(
            found[1].1,
            row(json!({ "email": "c", "name": "d\re" })),
            "a carriage return by itself stays"
        );
    }

    #[test]
    fn a_row_with_other_columns_costs_no_other() {
        let found = rows("email,name\nada@example.com\nbob@example.com,Bob\n").expect("a table");
        assert_eq!(found[0], (2, Entry::BrokenRow));
        assert_eq!(found[1], (3, row(json!({ "email": "bob@example.com", "name": "Bob" }))));
        let latin_1 = [&b"email,name\nada@example.com,"[..], b"\xe9", b"\nbob@example.com,x"].concat();
        let found: Vec<_> =
            Rows::new(&latin_1[..], "email").expect("a table").map(|row| row.expect("a row")).collect();
        assert_eq!(found[0], (Place::Line(2), Entry::BrokenRow));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_table_without_the_column_is_told() {
        for table in ["", "id,name\n1,x", "ada@example.com,x\n"] {
            assert_eq!(rows(table), Err(EntriesError::NoHead("email").to_string()), "{table}");
        }
    }

    #[test]
    fn a_row_that_does_not_end_ends_the_import_where_it_begins() {
        let table =
            format!("email,name\nada@example.com,x\nbob@example.com,\"{}", "y\n".repeat(2 * ENTRY_MAX_BYTES));
        let mut rows = Rows::new(table.as_bytes(), "email").expect("a table");
        assert!(rows.next().expect("a row").is_ok());
        assert!(matches!(rows.next(), Some(Err(EntriesError::EndlessRow { line: 3 }))));
        assert!(rows.next().is_none());
    }

    #[test]
    fn rows_beyond_the_bound_of_one_are_read_on() {
        let long = "x".repeat(ENTRY_MAX_BYTES / 2);
        let table = format!("email,name\n{}", format!("ada@example.com,{long}\n").repeat(5));
        assert_eq!(rows(&table).expect("a table").len(), 5);
        let table = format!("email,name\na,{}\nb,c\n", "x".repeat(ENTRY_MAX_BYTES));
        let found = rows(&table).expect("a table");
        assert_eq!(found[0].1, Entry::TooLong { max: ENTRY_MAX_BYTES });
        assert_eq!(found.len(), 2);
    }
}

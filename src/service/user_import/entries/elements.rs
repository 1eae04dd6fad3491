//! The elements of a JSON array, one at a time. The array is the document, or a member of the object that
//! the document is. What stands in an element is not looked into beyond what it takes to find its end, so
//! that one which is no JSON, or too long, costs no other.

use std::io::{self, BufRead};

use super::{BYTE_ORDER_MARK, ENTRY_MAX_BYTES, EntriesError, Entry, Place};

/// The elements of an array with their positions, beginning at 1.
pub(super) struct Elements<R> {
    reader: R,
    /// How many have come.
    count: u64,
    over: bool,
}

/// The first byte that is no white space, left to be read; what stands before it is read past, the
/// byte order mark included. `None` at the end.
pub(super) fn first_byte(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    if let Some(byte) = peek_behind_space(reader)? {
        if byte != BYTE_ORDER_MARK[0] {
            return Ok(Some(byte));
        }
        for mark in BYTE_ORDER_MARK {
            if peek(reader)? != Some(*mark) {
                break;
            }
            reader.consume(1);
        }
    }
    peek_behind_space(reader)
}

fn peek(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        match reader.fill_buf() {
            Ok(buffer) => return Ok(buffer.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn peek_behind_space(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    while let Some(byte) = peek(reader)? {
        if !byte.is_ascii_whitespace() {
            return Ok(Some(byte));
        }
        reader.consume(1);
    }
    Ok(None)
}

impl<R: BufRead> Elements<R> {
    /// The elements of the array that the document is, or of its member of that name.
    pub(super) fn new(mut reader: R, member: &'static str) -> Result<Self, EntriesError> {
        let no_array = || EntriesError::NoArray(member);
        match first_byte(&mut reader)? {
            Some(b'[') => {}
            Some(b'{') => find_member(&mut reader, member)?.ok_or_else(no_array)?,
            _ => return Err(no_array()),
        }
        reader.consume(1);
        Ok(Self { reader, count: 0, over: false })
    }

    fn next_element(&mut self) -> Result<Option<Entry>, EntriesError> {
        let broken = EntriesError::BrokenBehind(self.count);
        let first = peek_behind_space(&mut self.reader)?;
        if first == Some(b']') {
            return Ok(None);
        }
        if self.count > 0 {
            if first != Some(b',') {
                return Err(broken);
            }
            self.reader.consume(1);
            peek_behind_space(&mut self.reader)?;
        }
        let mut text = Vec::new();
        let length = read_value(&mut self.reader, |byte| {
            if text.len() <= ENTRY_MAX_BYTES {
                text.push(byte);
            }
        })?;
        if length.is_none_or(|length| length == 0) {
            return Err(broken);
        }
        let is_too_long = text.len() > ENTRY_MAX_BYTES;
        Ok(Some(if is_too_long { Entry::TooLong { max: ENTRY_MAX_BYTES } } else { Entry::Text(text) }))
    }
}

/// Reads past the members of an object up to the array of that name, whose bracket is left to be read.
fn find_member(reader: &mut impl BufRead, wanted: &str) -> io::Result<Option<()>> {
    reader.consume(1);
    loop {
        let mut key = Vec::new();
        if peek_behind_space(reader)? != Some(b'"') {
            return Ok(None);
        }
        // More blanks than that behind a key nobody writes.
        let room = wanted.len() + "\"\"".len() + 16;
        read_value(reader, |byte| {
            if key.len() <= room {
                key.push(byte);
            }
        })?;
        if peek_behind_space(reader)? != Some(b':') {
            return Ok(None);
        }
        reader.consume(1);
        let first = peek_behind_space(reader)?;
        if first == Some(b'[') && key.trim_ascii_end() == format!("\"{wanted}\"").as_bytes() {
            return Ok(Some(()));
        }
        read_value(reader, |_| {})?;
        if peek_behind_space(reader)? != Some(b',') {
            return Ok(None);
        }
        reader.consume(1);
    }
}

/// Reads one value: up to the comma or bracket behind it, which is left to be read. Answers how many bytes
/// it has; `None` when the file ends within.
fn read_value(reader: &mut impl BufRead, mut take: impl FnMut(u8)) -> io::Result<Option<usize>> {
    let (mut length, mut depth) = (0_usize, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    while let Some(byte) = peek(reader)? {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
        } else {
            match byte {
                b',' | b':' | b']' | b'}' if depth == 0 => return Ok(Some(length)),
                b'"' => in_text = true,
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
        }
        take(byte);
        reader.consume(1);
        length += 1;
    }
    Ok(None)
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = Result<(Place, Entry), EntriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let element = self.next_element().transpose();
        self.over = !matches!(element, Some(Ok(_)));
        self.count += 1;
        Some(element?.map(|entry| (Place::Element(self.count), entry)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read as _};

    use super::*;

    type Found = Result<Vec<(u64, Entry)>, String>;

    fn elements_in(buffer: usize, document: &[u8]) -> Found {
        let reader = BufReader::with_capacity(buffer, document);
        let elements = Elements::new(reader, "users").map_err(|error| error.to_string())?;
        let number = |(place, entry)| match place {
            Place::Element(number) => (number, entry),
            Place::Line(number) => panic!("line {number}"),
        };
        elements.map(|element| element.map(number).map_err(|error| error.to_string())).collect()
    }

    fn elements(document: impl AsRef<[u8]>) -> Found {
        let found = elements_in(4096, document.as_ref());
        for buffer in [1, 2, 3] {
            assert_eq!(elements_in(buffer, document.as_ref()), found, "{buffer}");
        }
        found
    }

    fn texts(texts: &[&str]) -> Found {
        Ok((1..).zip(texts).map(|(number, text)| (number, Entry::Text(text.as_bytes().to_vec()))).collect())
    }

    #[test]
    fn the_elements_of_an_array_come_one_by_one() {
        assert_eq!(elements("[]"), texts(&[]));
        assert_eq!(elements("\u{feff} [ ] "), texts(&[]));
        assert_eq!(elements(r#"[{"a":"]}\"\\"},[1,{"b":[]}] ,"x,y",7]"#), {
            texts(&[r#"{"a":"]}\"\\"}"#, r#"[1,{"b":[]}] "#, r#""x,y""#, "7"])
        });
    }

    #[test]
    fn the_array_may_be_a_member_wherever_it_stands() {
        let expected = texts(&[r#"{"a":1}"#, r#"{"b":2}"#]);
        for document in [
            r#"{"users":[{"a":1},{"b":2}]}"#,
            r#"{"realm":"x","users" : [{"a":1},{"b":2}],"clients":[{"users":[7]}]}"#,
            r#"{"users":7,"groups":[{"users":[1,2]}],"note":"\"users\":[3","users":[ {"a":1}, {"b":2}]"#,
        ] {
            assert_eq!(elements(document), expected, "{document}");
        }
    }

    #[test]
    fn a_document_without_the_array_is_told() {
        let none = Err(EntriesError::NoArray("users").to_string());
        for document in
            ["", " ", "null", "{}", "{", r#"{"user":[]}"#, r#"{"users":{}}"#, r#"{"users"}"#, "\"users\""]
        {
            assert_eq!(elements(document), none, "{document}");
        }
    }

    #[test]
    fn a_document_that_breaks_off_is_no_end() {
        for (document, count) in [
            ("[", 0),
            ("[1", 0),
            ("[1,", 1),
            ("[1,,2]", 1),
            ("[{\"a\":\"", 0),
            ("[1}", 1),
            (r#"{"users":["#, 0),
        ] {
            let broken = Err(EntriesError::BrokenBehind(count).to_string());
            assert_eq!(elements(document), broken, "{document}");
        }
    }

    #[test]
    fn an_element_that_is_too_long_costs_no_other() {
        let within = format!("\"{}\"", "x".repeat(ENTRY_MAX_BYTES - 2));
        let document = format!("[{within},\"{}x\",3]", "x".repeat(ENTRY_MAX_BYTES - 2));
        let found = elements_in(4096, document.as_bytes()).expect("a document");
        let text = |text: &str| Entry::Text(text.as_bytes().to_vec());
        let too_long = Entry::TooLong { max: ENTRY_MAX_BYTES };
        assert_eq!(found, [(1, text(&within)), (2, too_long), (3, text("3"))]);
    }

    #[test]
    fn an_error_is_no_end() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        let reader = BufReader::new((&b"[1,2"[..]).chain(Broken));
        let mut elements = Elements::new(reader, "users").expect("an array");
        assert!(elements.next().expect("an element").is_ok());
        assert!(matches!(elements.next(), Some(Err(EntriesError::Read(_)))));
        assert!(elements.next().is_none());
    }
}

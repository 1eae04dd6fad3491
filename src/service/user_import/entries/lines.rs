//! Lines of a file that somebody else wrote, of any length, in bounded memory.

use std::io::{self, BufRead, Read as _};

use super::{BYTE_ORDER_MARK, Entry};

/// The most bytes a line may have. A record whose fields all are as long as they may be has less
/// than half, all names escaped.
pub const LINE_MAX_BYTES: usize = 16 * 1024;

/// Beside the longest line: the mark before it and CRLF behind it; and one more, so that a line which
/// fills all of it is too long.
const ROOM_BESIDE: usize = BYTE_ORDER_MARK.len() + 2 + 1;

/// The lines of a file with their numbers, beginning at 1, those left out that hold nothing but
/// white space. Each ends in LF or CRLF, the last one in either or none; a byte order mark before the
/// first is no part of it.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    max: usize,
}

impl<R: BufRead> Lines<R> {
    /// The lines of what `reader` reads, each of at most so many bytes.
    pub(super) fn new(reader: R, max: usize) -> Self {
        Self { reader, number: 0, max }
    }

    fn next_of_any_kind(&mut self) -> io::Result<Option<Entry>> {
        let mut text = Vec::new();
        let room = ROOM_BESIDE + self.max;
        let too_long = Entry::TooLong { max: self.max };
        if self.reader.by_ref().take(room as u64).read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if text.len() == room && !text.ends_with(b"\n") {
            self.reader.skip_until(b'\n')?;
            return Ok(Some(too_long));
        }
        let mut line = text.as_slice();
        if self.number == 1 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok(Some(if line.len() > self.max { too_long } else { Entry::Text(line.to_vec()) }))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<(u64, Entry)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_of_any_kind().transpose()? {
                Ok(Entry::Text(text)) if text.iter().all(u8::is_ascii_whitespace) => {}
                Ok(line) => return Some(Ok((self.number, line))),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    const TOO_LONG: Entry = Entry::TooLong { max: LINE_MAX_BYTES };

    fn lines(bytes: impl AsRef<[u8]>, buffer: usize) -> Vec<(u64, Entry)> {
        let reader = BufReader::with_capacity(buffer, bytes.as_ref());
        Lines::new(reader, LINE_MAX_BYTES).map(|line| line.expect("no error in memory")).collect()
    }

    fn text(text: &str) -> Entry {
        Entry::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_are_numbered_and_blank_ones_count_but_do_not_come() {
        for buffer in [1, 2, 3, 4096] {
            assert_eq!(
                lines("a\n\n \t\nb\r\n\r\nc", buffer),
                [(1, text("a")), (4, text("b")), (6, text("c"))],
                "{buffer}"
            );
            assert_eq!(lines("a\n", buffer), [(1, text("a"))]);
            assert_eq!(lines("", buffer), []);
            assert_eq!(lines("\n", buffer), []);
        }
    }

    #[test]
    fn a_byte_order_mark_is_taken_from_the_first_line_alone() {
        let mark = "\u{feff}";
        assert_eq!(lines(format!("{mark}a\r\n{mark}b"), 2), [(1, text("a")), (2, text(&format!("{mark}b")))]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_bound_whatever_ends_it() {
        let longest = "x".repeat(LINE_MAX_BYTES);
        for ending in ["\n", "\r\n", ""] {
            assert_eq!(lines(format!("\u{feff}{longest}{ending}"), 100), [(1, text(&longest))], "{ending:?}");
            assert_eq!(lines(format!("{longest}x{ending}"), 100), [(1, TOO_LONG)], "{ending:?}");
        }
    }

    /// So many times one letter.
    struct Letters(usize);

    impl Read for Letters {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.0);
            buffer[..count].fill(b'x');
            self.0 -= count;
            Ok(count)
        }
    }

    #[test]
    fn what_follows_an_over_long_line_is_read_as_ever() {
        const LENGTH: usize = 10 * 1024 * 1024;
        let reader = BufReader::new(Letters(LENGTH).chain(&b"\nnext\n"[..]));
        let lines: Vec<_> =
            Lines::new(reader, LINE_MAX_BYTES).map(|line| line.expect("no error in memory")).collect();
        assert_eq!(lines, [(1, TOO_LONG), (2, text("next"))]);
    }

    #[test]
    fn an_error_is_no_end() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        let mut lines = Lines::new(BufReader::new((&b"a\nb"[..]).chain(Broken)), LINE_MAX_BYTES);
        assert!(lines.next().expect("a line").is_ok());
        assert!(lines.next().expect("an error").is_err());
    }
}

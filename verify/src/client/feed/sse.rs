//! Server-sent events (WHATWG HTML 9.2), as far as a feed needs them.

/// The most bytes that one event may take: the issuer's take a hundred.
const EVENT_MAX_BYTES: usize = 64 * 1024;

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The field `event`; empty where there was none.
    pub(crate) name: String,
    /// The field `id`.
    pub(crate) id: Option<String>,
    /// The lines of `data`, joined.
    pub(crate) data: String,
}

/// A stream that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SseError {
    /// One event without an end.
    #[error("an event is over {EVENT_MAX_BYTES} bytes")]
    TooLong,
    /// The text is not UTF-8.
    #[error("an event is not UTF-8")]
    NotUtf8,
}

/// Takes bytes as they come and gives events as they end.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    /// Whether the last byte was a CR: an LF behind it belongs to the same end of line.
    after_cr: bool,
    event: Event,
    /// Whether the event has had a field.
    begun: bool,
    has_data: bool,
    bytes: usize,
}

impl SseParser {
    /// Reads on, and puts the events that end in these bytes behind `events`.
    ///
    /// # Errors
    /// [`SseError`]; the parser is of no use afterwards.
    pub(crate) fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(events)?,
                _ => {
                    self.bytes += 1;
                    if self.bytes > EVENT_MAX_BYTES {
                        return Err(SseError::TooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        let line = str::from_utf8(&line).map_err(|_| SseError::NotUtf8)?;
        if line.is_empty() {
            self.bytes = 0;
            self.has_data = false;
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.begun) {
                events.push(event);
            }
            return Ok(());
        }
        // A comment; some servers send them to keep a connection open. The limit is the event's.
        if line.starts_with(':') {
            self.bytes -= line.len();
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            _ => return Ok(()),
        }
        self.begun = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, id: Option<&str>, data: &str) -> Event {
        Event { name: name.to_owned(), id: id.map(str::to_owned), data: data.to_owned() }
    }

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        for piece in pieces {
            parser.read(piece, &mut events).expect("a stream");
        }
        events
    }

    const STREAM: &[u8] =
        b":ok\n\nevent: revocation\nid: c1\ndata: {\"a\":\ndata: 1}\n\nevent:heartbeat\nid:c2\ndata:{}\n\n";

    fn expected() -> Vec<Event> {
        vec![event("revocation", Some("c1"), "{\"a\":\n1}"), event("heartbeat", Some("c2"), "{}")]
    }

    #[test]
    fn a_stream_reads_the_same_wherever_it_is_cut() {
        assert_eq!(read(&[STREAM]), expected());
        for cut in 0..STREAM.len() {
            assert_eq!(read(&[&STREAM[..cut], &STREAM[cut..]]), expected(), "{cut}");
        }
        assert_eq!(read(&STREAM.chunks(1).collect::<Vec<_>>()), expected());
    }

    #[test]
    fn every_end_of_line_is_one() {
        let text = String::from_utf8(STREAM.to_vec()).expect("text");
        for end in ["\r", "\r\n"] {
            let stream = text.replace('\n', end).into_bytes();
            for cut in 0..stream.len() {
                assert_eq!(read(&[&stream[..cut], &stream[cut..]]), expected(), "{end:?} at {cut}");
            }
        }
    }

    #[test]
    fn an_event_that_has_not_ended_is_none() {
        assert_eq!(read(&[b"event: revocation\nid: c1\ndata: {}\n"]), []);
    }

    #[test]
    fn an_event_needs_no_data_and_fields_that_are_not_known_are_none() {
        assert_eq!(read(&[b"event: reset\n\n"]), [event("reset", None, "")]);
        assert_eq!(read(&[b"event: reset\ndata\n\n"]), [event("reset", None, "")]);
        assert_eq!(read(&[b"retry: 5\ncolour: red\n\n\n\n"]), []);
        assert_eq!(read(&[b"id: a\0b\ndata: x\n\n"]), [event("", None, "x")]);
    }

    #[test]
    fn one_event_leaves_nothing_to_the_next() {
        assert_eq!(
            read(&[b"event: a\nid: 1\ndata: x\n\ndata: y\n\n"]),
            [event("a", Some("1"), "x"), event("", None, "y")]
        );
    }

    #[test]
    fn an_event_without_an_end_is_an_error_before_it_fills_the_memory() {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        let piece = vec![b'x'; EVENT_MAX_BYTES];
        assert_eq!(parser.read(&piece, &mut events), Ok(()));
        assert_eq!(parser.read(b"x", &mut events), Err(SseError::TooLong));
        let mut lines = SseParser::default();
        let endless = b"data: abc\n".repeat(EVENT_MAX_BYTES / 9 + 1);
        assert_eq!(lines.read(&endless, &mut events), Err(SseError::TooLong));
    }

    #[test]
    fn comments_may_go_on_for_ever() {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        for _ in 0..10_000 {
            assert_eq!(parser.read(b": still here\n", &mut events), Ok(()));
        }
        assert_eq!(events, []);
    }

    #[test]
    fn what_is_no_text_is_an_error() {
        assert_eq!(SseParser::default().read(b"data: \xff\n", &mut Vec::new()), Err(SseError::NotUtf8));
    }
}

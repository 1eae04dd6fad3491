//! How log lines look: one event is one line, flat. What it happened within (the request) is said by fields of
//! the same line, each name once.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Write as _;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Fields, Kind, MESSAGE};
use super::terminal::{Style, escape};
use crate::config::{LogFormat, LogSettings};

/// Where a line is put together; kept for the next one.
struct Buffers {
    fields: Fields,
    line: Vec<u8>,
    time: String,
}

impl Buffers {
    const fn new() -> Self {
        Self { fields: Fields::new(true), line: Vec::new(), time: String::new() }
    }
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Buffers::new()) };
}

/// Writes a line for each event.
pub struct Lines<W> {
    format: LogFormat,
    client_address: bool,
    coloured: bool,
    writer: W,
}

impl<W> Lines<W> {
    /// Lines as the settings say, to wherever `writer` leads. Those for people can be `coloured`.
    pub fn new(log: &LogSettings, coloured: bool, writer: W) -> Self {
        Self { format: log.format, client_address: log.client_address, coloured, writer }
    }

    fn write(&self, buffers: &mut Buffers, event: &Event<'_>, around: &[&Fields]) {
        let Buffers { fields, line, time } = buffers;
        line.clear();
        time.clear();
        // A clock that cannot be read is no reason to say nothing.
        let _ = SystemTime.format_time(&mut Writer::new(time));
        let said = Said { event, time, fields, around };
        match self.format {
            LogFormat::Json => said.as_json(line),
            LogFormat::Pretty => said.as_text(line, self.coloured),
        }
        line.push(b'\n');
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::of_span(self.client_address);
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let make = |buffers: &mut Buffers| {
            buffers.fields.clear(self.client_address);
            event.record(&mut buffers.fields);
            let spans: Vec<_> = context.event_scope(event).into_iter().flatten().collect();
            let extensions: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
            let around: Vec<&Fields> =
                extensions.iter().filter_map(|extensions| extensions.get::<Fields>()).collect();
            self.write(buffers, event, &around);
            // Nobody is left to be told that the log cannot be written.
            let _ = self.writer.make_writer_for(event.metadata()).write_all(&buffers.line);
        };
        BUFFERS.with(|buffers| match buffers.try_borrow_mut() {
            Ok(mut buffers) => make(&mut buffers),
            // Something logs while it is being written down.
            Err(_) => make(&mut Buffers::new()),
        });
    }
}

/// All that one line says.
struct Said<'a> {
    event: &'a Event<'a>,
    time: &'a str,
    fields: &'a Fields,
    /// Of the spans around it, the innermost first.
    around: &'a [&'a Fields],
}

impl Said<'_> {
    fn message(&self) -> &str {
        self.fields.get(MESSAGE).unwrap_or_default()
    }

    /// Each name once: the event's own word counts, then that of the innermost span.
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str, Kind)> {
        let of_event = self.fields.iter().filter(|(name, ..)| *name != MESSAGE);
        let of_spans = self.around.iter().enumerate().flat_map(move |(at, span)| {
            let inner = &self.around[..at];
            let is_said = move |name: &str| self.fields.has(name) || inner.iter().any(|span| span.has(name));
            span.iter().filter(move |(name, ..)| *name != MESSAGE && !is_said(name))
        });
        of_event.chain(of_spans)
    }

    fn as_json(&self, line: &mut Vec<u8>) {
        let metadata = self.event.metadata();
        line.extend_from_slice(b"{\"timestamp\":");
        quote(line, self.time);
        line.extend_from_slice(b",\"level\":");
        quote(line, metadata.level().as_str());
        line.extend_from_slice(b",\"message\":");
        quote(line, self.message());
        for (name, value, kind) in self.pairs() {
            line.push(b',');
            quote(line, name);
            line.push(b':');
            match kind {
                Kind::Literal => line.extend_from_slice(value.as_bytes()),
                Kind::Text | Kind::Written => quote(line, value),
            }
        }
        line.extend_from_slice(b",\"target\":");
        quote(line, metadata.target());
        line.push(b'}');
    }

    fn as_text(&self, line: &mut Vec<u8>, coloured: bool) {
        let metadata = self.event.metadata();
        let mut text = String::new();
        let push = |text: &mut String, style: Style, shown: &str| {
            if coloured {
                text.push_str(style.code());
            }
            text.push_str(shown);
            if coloured {
                text.push_str("\x1b[0m");
            }
        };
        push(&mut text, Style::Dim, self.time);
        text.push(' ');
        push(&mut text, Style::of(*metadata.level()), &format!("{:>5}", metadata.level().as_str()));
        text.push(' ');
        push(&mut text, Style::Dim, metadata.target());
        text.push_str(": ");
        escape(&mut text, self.message());
        for (name, value, kind) in self.pairs() {
            text.push(' ');
            push(&mut text, Style::Italic, name);
            text.push('=');
            match kind {
                // A string takes any text.
                Kind::Text => drop(write!(text, "{value:?}")),
                Kind::Written | Kind::Literal => escape(&mut text, value),
            }
        }
        line.extend_from_slice(text.as_bytes());
    }
}

/// Writes a string of JSON.
fn quote(line: &mut Vec<u8>, text: &str) {
    // Memory takes it all.
    let _ = serde_json::to_writer(line, text);
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::config::LoggedRequests;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of what is logged meanwhile, without what stands before the first blank behind a time.
    fn lines(format: LogFormat, client_address: bool, coloured: bool, log: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let settings = LogSettings {
            level: "trace".to_owned(),
            format,
            requests: LoggedRequests::Changes,
            client_address,
        };
        let writer = kept.clone();
        let layer = Lines::new(&settings, coloured, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    fn as_json(line: &str) -> Value {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let time = line.as_object_mut().and_then(|line| line.remove("timestamp")).expect("a time");
        assert!(time.as_str().is_some_and(|time| time.ends_with('Z') && time.len() > 20), "{time}");
        line
    }

    fn speak() {
        let span = tracing::error_span!(
            "request",
            request_id = "r-1",
            operation = %"login",
            address = %"192.0.2.7",
            account = tracing::field::Empty,
            client = tracing::field::Empty,
        );
        span.in_scope(|| {
            span.record("account", tracing::field::display(6));
            span.record("account", tracing::field::display(7));
            span.record("client", "not the event's");
            let inner = tracing::info_span!("inner", request_id = "r-1", operation = %"login", extra = 1);
            let _inner = inner.enter();
            tracing::info!(status = 200_u16, client = %"books", ok = true, "answered");
        });
        span.in_scope(|| {
            tracing::warn!(peer = %"192.0.2.8", nothing = None::<u8>, text = "a \"b\"\n", "two\nlines \x1b[31m");
        });
        tracing::debug!(target: "elsewhere", "outside");
    }

    #[test]
    fn an_event_is_one_flat_object_with_each_name_once() {
        let lines = lines(LogFormat::Json, true, false, speak);
        assert_eq!(lines.len(), 3, "{lines:?}");
        let here = module_path!();
        assert_eq!(
            as_json(&lines[0]),
            json!({"level": "INFO", "message": "answered", "status": 200, "client": "books", "ok": true, "extra": 1,
                "request_id": "r-1", "operation": "login", "address": "192.0.2.7", "account": "7", "target": here}),
        );
        for name in ["client", "account", "request_id", "operation", "message"] {
            assert_eq!(lines[0].matches(&format!("\"{name}\":")).count(), 1, "{name}: {}", lines[0]);
        }
        assert_eq!(
            as_json(&lines[1]),
            json!({"level": "WARN", "message": "two\nlines \u{1b}[31m", "peer": "192.0.2.8", "text": "a \"b\"\n",
                "request_id": "r-1", "operation": "login", "address": "192.0.2.7", "account": "7",
                "client": "not the event's", "target": here}),
        );
        assert_eq!(
            as_json(&lines[2]),
            json!({"level": "DEBUG", "message": "outside", "target": "elsewhere"})
        );
    }

    #[test]
    fn a_line_for_people_is_one_line_with_nothing_that_a_terminal_obeys() {
        let lines = lines(LogFormat::Pretty, true, false, speak);
        assert_eq!(lines.len(), 3, "{lines:?}");
        let rest = |line: &str| line.split_once("Z ").expect("a time").1.to_owned();
        let here = module_path!();
        assert_eq!(
            rest(&lines[0]),
            format!(
                " INFO {here}: answered status=200 client=books ok=true request_id=\"r-1\" operation=login \
                 extra=1 address=192.0.2.7 account=7"
            )
        );
        assert_eq!(
            rest(&lines[1]),
            format!(
                " WARN {here}: two\\nlines \\u{{1b}}[31m peer=192.0.2.8 text=\"a \\\"b\\\"\\n\" \
                 request_id=\"r-1\" operation=login address=192.0.2.7 account=7 \
                 client=\"not the event's\""
            )
        );
        assert_eq!(rest(&lines[2]), "DEBUG elsewhere: outside");
    }

    #[test]
    fn colours_stand_around_words_and_end_with_them() {
        let lines = lines(LogFormat::Pretty, true, true, speak);
        assert!(lines[0].contains("\x1b[32m INFO\x1b[0m "), "{:?}", lines[0]);
        assert!(lines[0].contains("\x1b[3moperation\x1b[0m=login"), "{:?}", lines[0]);
    }

    #[test]
    fn where_clients_are_is_said_in_no_line_that_must_not() {
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let text = lines(format, false, false, speak).join("\n");
            assert!(text.contains("answered") && text.contains("r-1"), "{text}");
            for part in ["192.0.2", "address", "peer"] {
                assert!(!text.contains(part), "{part}: {text}");
            }
        }
    }
}

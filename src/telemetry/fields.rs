//! What a log line says, before it is known how the line looks.

use std::error::Error;
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};

/// The field that is the line's message.
pub(super) const MESSAGE: &str = "message";

/// Fields that hold where a client is. Every one that does has one of these names.
const CLIENT_ADDRESSES: [&str; 2] = ["address", "peer"];

/// What kind of value a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text as it is.
    Text,
    /// Something that was written as a text, by its `Display` or `Debug`.
    Written,
    /// A number, or `true` or `false`.
    Literal,
}

/// One of the [`Fields`]: its name, and where its value stands.
#[derive(Debug)]
struct Entry {
    name: &'static str,
    start: usize,
    end: usize,
    kind: Kind,
}

/// Names and values, in the order they came. They share one text, so that to keep a few of them takes hardly
/// any memory to be asked for.
#[derive(Debug)]
pub(super) struct Fields {
    text: String,
    entries: Vec<Entry>,
    client_address: bool,
}

impl Fields {
    /// None yet. Without `client_address` those that say where a client is are not kept.
    pub(super) const fn new(client_address: bool) -> Self {
        Self { text: String::new(), entries: Vec::new(), client_address }
    }

    /// The same with room for what is said of a request, which comes more often than anything else.
    pub(super) fn of_span(client_address: bool) -> Self {
        Self { text: String::with_capacity(192), entries: Vec::with_capacity(8), client_address }
    }

    /// None again, in the memory that there is.
    pub(super) fn clear(&mut self, client_address: bool) {
        self.text.clear();
        self.entries.clear();
        self.client_address = client_address;
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == name)
    }

    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        self.text.get(entry.start..entry.end)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str, Kind)> {
        let value = |entry: &Entry| self.text.get(entry.start..entry.end).unwrap_or_default();
        self.entries.iter().map(move |entry| (entry.name, value(entry), entry.kind))
    }

    /// Keeps a value; a later one of the same name replaces an earlier one.
    fn keep(&mut self, field: &Field, kind: Kind, value: fmt::Arguments<'_>) {
        let name = field.name();
        if !self.client_address && CLIENT_ADDRESSES.contains(&name) {
            return;
        }
        let start = self.text.len();
        // A value that cannot be written is one with nothing in it: no line is worth a panic.
        if self.text.write_fmt(value).is_err() {
            self.text.truncate(start);
        }
        let end = self.text.len();
        let entry = Entry { name, start, end, kind };
        match self.entries.iter_mut().find(|entry| entry.name == name) {
            Some(earlier) => *earlier = entry,
            None => self.entries.push(entry),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers.
        let kind = if value.is_finite() { Kind::Literal } else { Kind::Written };
        self.keep(field, kind, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Kind::Literal, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Kind::Literal, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.keep(field, Kind::Literal, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.keep(field, Kind::Literal, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Kind::Literal, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, Kind::Text, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.keep(field, Kind::Written, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, Kind::Written, format_args!("{value:?}"));
    }
}

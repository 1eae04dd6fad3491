//! What a terminal is sent: text that it obeys in nothing, and colours.

use tracing::Level;

/// Writes a text on one line, with nothing that a terminal would obey.
pub(super) fn escape(line: &mut String, text: &str) {
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
}

/// How a piece of a line stands out at a terminal.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Dim,
    Italic,
    Red,
    Yellow,
    Green,
    Blue,
    Purple,
}

impl Style {
    pub(super) fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Red,
            Level::WARN => Self::Yellow,
            Level::INFO => Self::Green,
            Level::DEBUG => Self::Blue,
            Level::TRACE => Self::Purple,
        }
    }

    /// By ECMA-48 8.3.117.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Dim => "\x1b[2m",
            Self::Italic => "\x1b[3m",
            Self::Red => "\x1b[31m",
            Self::Yellow => "\x1b[33m",
            Self::Green => "\x1b[32m",
            Self::Blue => "\x1b[34m",
            Self::Purple => "\x1b[35m",
        }
    }
}

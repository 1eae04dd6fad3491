//! `dev` and `serve`.

use super::reader::{Reader, Section};
use super::setting::Node;

/// Which defaults hold, and what is safe enough to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `hallpass dev`: works with nothing set, for this machine alone.
    Dev,
    /// `hallpass serve`: production.
    Serve,
}

impl Profile {
    /// The command of that name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Serve => "serve",
        }
    }
}

/// No setting: the command says which it is.
impl Section for Profile {
    const NODES: &'static [Node] = &[];

    fn read(read: &mut Reader<'_>) -> Option<Self> {
        Some(read.profile())
    }
}

//! `dev` and `serve`.

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

//! What is said of an error: all of it, its causes included.

use std::error::Error;
use std::fmt;

/// An error with its causes, as one line: `a store could not answer: token store is unavailable: …`.
///
/// Every error that is logged goes through this: an error handed over as such keeps its causes in
/// some log formats and loses them in others, and without them nobody can tell a wrong password from
/// a full disk.
pub fn with_causes<'a>(error: &'a (dyn Error + 'static)) -> WithCauses<'a> {
    WithCauses(error)
}

/// See [`with_causes`].
#[derive(Clone, Copy)]
pub struct WithCauses<'a>(&'a (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors end with their cause's words already.
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

/// The same line: the `Debug` output of an error may quote what it is about.
impl fmt::Debug for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Told {
        text: &'static str,
        #[source]
        cause: Option<Box<Told>>,
    }

    fn told(texts: &[&'static str]) -> Told {
        let cause = (texts.len() > 1).then(|| Box::new(told(&texts[1..])));
        Told { text: texts[0], cause }
    }

    #[test]
    fn every_cause_is_named_once() {
        for (texts, line) in [
            (&["away"][..], "away"),
            (
                &["no answer", "store is away", "connection refused"],
                "no answer: store is away: connection refused",
            ),
            (&["cannot read: no such file", "no such file"], "cannot read: no such file"),
        ] {
            assert_eq!(with_causes(&told(texts)).to_string(), line);
            assert_eq!(format!("{:?}", with_causes(&told(texts))), line);
        }
    }
}

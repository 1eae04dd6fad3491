//! What a failed call says about the connection.

use redis::{ErrorKind, RedisError};

/// What a failed call says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It leads where it should.
    Keep,
    /// It works, and leads to a server that does not serve us: another one may answer at the address.
    LookElsewhere,
    /// It is of no use any more.
    Broken,
}

/// What this failure says.
pub(super) fn verdict(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => verdict_of_refusal(&error.to_string()),
        _ => Verdict::Broken,
    }
}

/// Only the text has the code always: Redis 6 wraps what a script ran into, and a pipeline's error has
/// none.
fn verdict_of_refusal(said: &str) -> Verdict {
    /// Each code, and what it means for the connection. A code that is not here is about the command.
    const CODES: [(&str, Verdict); 9] = [
        // A replica, or a master that was demoted: the master is somewhere else.
        ("READONLY", Verdict::LookElsewhere),
        // A replica that has lost its master.
        ("MASTERDOWN", Verdict::LookElsewhere),
        // A master without its replicas may be the one that a failover has left behind.
        ("NOREPLICAS", Verdict::LookElsewhere),
        // It asks for a password that it did not ask for before, or has another one: to this connection
        // it says so for ever.
        ("NOAUTH", Verdict::LookElsewhere),
        ("WRONGPASS", Verdict::LookElsewhere),
        // A server that reads its data serves us when it has, on this connection too.
        ("LOADING", Verdict::Keep),
        // A script runs that takes too long; another connection would wait for it as well.
        ("BUSY", Verdict::Keep),
        // Full memory or a full disk: it is the right server, and it revokes still.
        ("OOM", Verdict::Keep),
        ("MISCONF", Verdict::Keep),
    ];
    let says =
        |code: &str| said.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == code);
    // The driver has words of its own for the codes that it knows.
    let known = [("ReadOnly", "READONLY"), ("MasterDown", "MASTERDOWN"), ("BusyLoading", "LOADING")];
    let said_by_driver = |code: &str| known.iter().any(|(word, known)| *known == code && says(word));
    CODES
        .iter()
        .find(|(code, _)| says(code) || said_by_driver(code))
        .map_or(Verdict::Keep, |(_, verdict)| *verdict)
}

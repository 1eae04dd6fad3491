//! What an error says about the server.

/// What an error says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is there and has answered.
    Answer,
    /// It is there, and cannot do this just now.
    Hindered,
    /// The connections that we have lead nowhere, or to the wrong server.
    Gone,
}

pub(super) fn verdict(error: &sqlx::Error) -> Verdict {
    match error {
        sqlx::Error::Database(error) => verdict_of_code(&error.code().unwrap_or_default()),
        // All connections are in use, no new one could be made, or one has broken. Those that are there are
        // asked for a sign of life before they are used, and may be good: a name that cannot be resolved
        // just now is no reason to give them up.
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_) => Verdict::Hindered,
        _ => Verdict::Answer,
    }
}

/// By SQLSTATE (Postgres' manual, appendix A).
fn verdict_of_code(code: &str) -> Verdict {
    match code {
        // read_only_sql_transaction: the server is a standby, or was demoted; the primary is elsewhere.
        // It would say so on every connection for as long as that lives.
        "25006" => Verdict::Gone,
        // query_canceled, which is the statement timeout, and lock_not_available.
        "57014" | "55P03" => Verdict::Hindered,
        _ => match code.get(..2) {
            // Operator intervention: shut down (57P01), crashed (57P02), starting up (57P03), dropped (57P04).
            Some("57") => Verdict::Gone,
            // Connection exceptions (08); not let in any more (28, 3D), which says nothing of those who are
            // in; out of connections, memory or disk (53); an error of the system or the server's own (58,
            // XX).
            Some("08" | "28" | "3D" | "53" | "58" | "XX") => Verdict::Hindered,
            _ => Verdict::Answer,
        },
    }
}

pub(super) fn code_may_pass(code: &str) -> bool {
    matches!(code.get(..2), Some("53" | "57" | "08"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_says_whether_the_server_is_of_use() {
        for code in ["25006", "57P01", "57P02", "57P03", "57P04"] {
            assert_eq!(verdict_of_code(code), Verdict::Gone, "{code}");
        }
        for code in ["57014", "55P03", "53300", "53100", "08006", "28P01", "XX000"] {
            assert_eq!(verdict_of_code(code), Verdict::Hindered, "{code}");
        }
        for code in ["23505", "42703", "40001", "40P01", "22003", ""] {
            assert_eq!(verdict_of_code(code), Verdict::Answer, "{code}");
        }
    }

    #[test]
    fn a_server_that_starts_or_is_full_is_waited_for_and_one_that_refuses_us_is_not() {
        for code in ["57P03", "57P01", "53300", "08006"] {
            assert!(code_may_pass(code), "{code}");
        }
        for code in ["28P01", "28000", "3D000", "42501", ""] {
            assert!(!code_may_pass(code), "{code}");
        }
    }
}

//! `log.*`

use tracing_subscriber::EnvFilter;

use crate::config::engine::{Always, Parsed, PerProfile, parse, problem, settings};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object per line.
    Json,
}

/// Which requests the log has a line for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggedRequests {
    /// Those that change something or are refused; validations and health checks are counted.
    #[default]
    Changes,
    /// Every one.
    All,
    /// None.
    Off,
}

const REQUESTS: [(&str, LoggedRequests); 3] =
    [("changes", LoggedRequests::Changes), ("all", LoggedRequests::All), ("off", LoggedRequests::Off)];

settings! {
    /// The log.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LogSettings {
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives per target.
        level: String = "log.level" {
            alias: "RUST_LOG", kind: Text, parse: level, default: Always("info"), example: "hallpass=debug,info",
        },
        /// How log lines look: `pretty` or `json`.
        format: LogFormat = "log.format" {
            kind: Text,
            parse: parse::choice("is no log format", [("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]),
            default: PerProfile { dev: "pretty", serve: "json" }, example: "json",
        },
        /// Which requests have a line in the log: `changes` (those that change something or are refused; checks of
        /// tokens and health checks are counted), `all`, or `off`.
        requests: LoggedRequests = "log.requests" {
            kind: Text, parse: parse::choice("does not say which requests are logged", REQUESTS),
            default: Always("changes"), example: "all",
        },
        /// Whether log lines say where clients are. `false` keeps their addresses out of every line; the audit log has
        /// them all the same.
        client_address: bool = "log.client_address" {
            kind: Boolean, parse: parse::boolean, default: Always("true"), example: "false",
        },
    }
}

fn level(text: &str) -> Parsed<String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => problem("is no log level", "write it like info, or hallpass=debug,info"),
    }
}

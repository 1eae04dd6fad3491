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
    }
}

fn level(text: &str) -> Parsed<String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => problem("is no log level", "write it like info, or hallpass=debug,info"),
    }
}

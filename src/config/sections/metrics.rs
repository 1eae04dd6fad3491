//! `metrics.*`

use std::net::SocketAddr;

use crate::config::engine::{Parsed, PerProfile, parse, settings};

settings! {
    /// What is told to whoever watches the service.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MetricsSettings {
        /// The address and port of `/metrics`, for Prometheus, away from what visitors reach; `off` for none.
        listen: Option<SocketAddr> = "metrics.listen" {
            kind: Text, parse: listen, default: PerProfile { dev: "127.0.0.1:9464", serve: "off" },
            example: "0.0.0.0:9464",
        },
    }
}

fn listen(text: &str) -> Parsed<Option<SocketAddr>> {
    match text {
        "off" => Ok(None),
        address => match address.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => parse::problem("is no address and port", "write it like 127.0.0.1:9464, or off"),
        },
    }
}

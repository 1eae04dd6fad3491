//! `dev.*`: for `hallpass dev` alone.

use url::Host;

use crate::config::engine::{Nothing, Parsed, parse, problem, settings};

/// The client that `hallpass dev` makes: that of the example microservice.
pub const SAMPLE_CLIENT_ID: &str = "books";

/// Its secret.
pub const SAMPLE_CLIENT_SECRET: &str = "books-dev-secret";

settings! {
    /// For `hallpass dev` alone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DevSettings {
        /// Further names by which `hallpass dev` may be called, without ports, with commas between (a list in the
        /// file). Addresses, `localhost` and the `public_url`'s host always may; others get 421, since a web page
        /// elsewhere could have its own name lead here.
        allowed_hosts: Vec<String> = "dev.allowed_hosts" {
            kind: List, parse: parse::list(host), default: Nothing, example: "hallpass.test",
        },
    }
}

fn host(name: &str) -> Parsed<String> {
    match Host::parse(name) {
        Ok(host) => Ok(host.to_string()),
        Err(_) => problem(
            "names something else than hosts",
            "write names without a port, like hallpass or auth.test, with a comma between",
        ),
    }
}

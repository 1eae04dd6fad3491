//! `forward_auth.*`

use crate::config::engine::{Always, parse, settings};

settings! {
    /// What proxies that ask about each request are told.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ForwardAuthSettings {
        /// Whether `/forward-auth` tells an e-mail address that nobody has proven (`Remote-Email`), which is empty
        /// otherwise. Anybody can register with anybody's address: services that know people by it hand over
        /// accounts then.
        unverified_email: bool = "forward_auth.unverified_email" {
            kind: Boolean, parse: parse::boolean, default: Always("false"), example: "true",
        },
    }
}

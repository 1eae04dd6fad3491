//! Who asks.

use std::net::IpAddr;

use super::quotas::QuotaLog;
use crate::domain::place::Place;

/// Who asks, for as long as one request takes: where from, and the record of their quotas. Clones
/// are the same visitor.
#[derive(Clone, Debug)]
pub struct Visitor {
    address: Option<IpAddr>,
    quota_log: QuotaLog,
}

impl Visitor {
    /// A visitor at an address; `None` where the connection has none.
    pub fn new(address: Option<IpAddr>) -> Self {
        Self { address: address.map(|address| address.to_canonical()), quota_log: QuotaLog::default() }
    }

    /// The client's address: that of the connection, or what trusted proxies say it is.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What is recorded of their quotas.
    pub fn quota_log(&self) -> &QuotaLog {
        &self.quota_log
    }

    pub(super) fn place(&self) -> Place {
        Place::of(self.address)
    }
}

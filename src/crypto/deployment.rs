//! What the keys of a deployment begin with.

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::deployment::DeploymentMark;
use crate::domain::ids::DeploymentId;

/// The mark of a deployment that was given none: the first 8 hex digits of the SHA-256 of its id, as
/// text. The id itself would make every key longer.
pub fn mark_of(deployment: DeploymentId) -> DeploymentMark {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, deployment.to_string().as_bytes()).as_ref());
    DeploymentMark::of_digest(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf %s 00000000-0000-0000-0000-000000000abc | sha256sum` says: a release that made other
    /// marks would log everybody out.
    #[test]
    fn the_mark_of_an_id_stays_the_same() {
        let id = DeploymentId::from(uuid::Uuid::from_u128(0xabc));
        assert_eq!(mark_of(id).as_str(), "01cbdeac");
    }
}

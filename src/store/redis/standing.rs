//! Whether the data of a partition is what was vouched for.

use super::codec::{Entry, Fields};
use crate::domain::ids::UserId;
use crate::domain::partition::Partition;
use crate::store::vouching::{BackendError, BackendResult, Vouched, VouchedPartition};

/// The fields of a partition's state that tell whether its data is what was vouched for.
pub(super) const STANDING_FIELDS: [&str; 2] = ["vouching", "incarnation"];

/// The incarnation of a partition that is what was vouched for, out of the [`STANDING_FIELDS`].
/// (model: VouchingIsPassed)
pub(super) fn standing_incarnation(
    entry: Entry<'_>,
    by: VouchedPartition,
    standing: &Fields,
) -> BackendResult<i64> {
    let field = |position: usize| standing.get(position).and_then(|field| field.as_deref());
    if field(0) != Some(by.vouching.get().to_string().as_str()) {
        return Err(BackendError::Unvouched);
    }
    Ok(entry.read("incarnation", field(1))?)
}

/// The vouching of a user's partition, as the scripts compare it.
/// (model: VouchingIsPassed)
pub(super) fn vouching_of(by: &Vouched, user: UserId) -> String {
    by.of(Partition::of(user)).vouching.get().to_string()
}

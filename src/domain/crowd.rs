//! When more come than are let in.

/// Of a request that came over a connection beyond the bounds: there is room for a health check on it and
/// for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeyondBounds;

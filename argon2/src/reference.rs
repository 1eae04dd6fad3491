//! Which block goes into which: the indexing of RFC 9106 section 3.4.

use argon2::{Algorithm, Params};

/// Slices of a lane, between which lanes wait for each other.
pub(crate) const SLICES: usize = 4;

/// The memory as lanes of blocks.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) lanes: usize,
    pub(crate) lane_length: usize,
    pub(crate) segment_length: usize,
}

impl Layout {
    pub(crate) fn new(params: &Params) -> Self {
        let lanes = params.p_cost() as usize;
        let lane_length = params.block_count() / lanes;
        Self { lanes, lane_length, segment_length: lane_length / SLICES }
    }

    pub(crate) fn block_count(&self) -> usize {
        self.lanes * self.lane_length
    }
}

/// What is filled in one go: a slice of a lane, in a pass.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) layout: Layout,
    pub(crate) pass: usize,
    pub(crate) slice: usize,
    pub(crate) lane: usize,
}

impl Segment {
    /// The first block in it that is to be filled: two of each lane are there from the start.
    pub(crate) fn first(&self) -> usize {
        if self.pass == 0 && self.slice == 0 { 2 } else { 0 }
    }

    /// Where the block at `position` in the segment stands in the memory.
    #[inline]
    pub(crate) fn index(&self, position: usize) -> usize {
        self.lane * self.layout.lane_length + self.slice * self.layout.segment_length + position
    }

    /// Where the block before the first one stands: at the start of a lane, that is the lane's last.
    pub(crate) fn before_first(&self) -> usize {
        let first = self.index(self.first());
        if self.slice == 0 && self.first() == 0 { first + self.layout.lane_length - 1 } else { first - 1 }
    }

    /// Whether blocks are chosen without looking at what the password made of others.
    pub(crate) fn is_data_independent(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Argon2i => true,
            Algorithm::Argon2id => self.pass == 0 && self.slice < SLICES / 2,
            Algorithm::Argon2d => false,
        }
    }

    /// Where the block stands that goes into the one at `position` besides the one before it, by the
    /// pseudo-random `word`: J1 its lower half, J2 its upper.
    #[inline]
    pub(crate) fn reference(&self, position: usize, word: u64) -> usize {
        let lane_length = self.layout.lane_length;
        let lane = self.reference_lane(word);
        let area = self.area(position, lane == self.lane) as u64;
        let j1 = word & u64::from(u32::MAX);
        let back = (area * ((j1 * j1) >> 32)) >> 32;
        let relative = self.oldest() + (area - 1 - back) as usize;
        let wrapped = if relative < lane_length { relative } else { relative - lane_length };
        lane * lane_length + wrapped
    }

    #[inline]
    fn reference_lane(&self, word: u64) -> usize {
        if self.layout.lanes == 1 || self.pass == 0 && self.slice == 0 {
            self.lane
        } else {
            (word >> 32) as usize % self.layout.lanes
        }
    }

    /// How many blocks of a lane may be chosen from.
    #[inline]
    fn area(&self, position: usize, is_own: bool) -> usize {
        let Layout { lane_length, segment_length, .. } = self.layout;
        let complete =
            if self.pass == 0 { self.slice * segment_length } else { lane_length - segment_length };
        if is_own { complete + position - 1 } else { complete - usize::from(position == 0) }
    }

    /// Where in a lane those blocks begin.
    #[inline]
    fn oldest(&self) -> usize {
        if self.pass == 0 { 0 } else { (self.slice + 1) % SLICES * self.layout.segment_length }
    }
}

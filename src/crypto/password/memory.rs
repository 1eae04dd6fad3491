//! The memory that argon2 works in, kept from one hash to the next.

use argon2::Block;

/// The blocks of one thread that hashes: as much as the dearest hash so far has needed.
///
/// Fresh memory for each hash would have to be mapped and zeroed page by page, which costs a tenth
/// of the hash and holds up the other threads of the process while it goes on.
#[derive(Default)]
pub struct HashMemory {
    blocks: Vec<Block>,
    /// How many hashes were computed in it.
    #[cfg(test)]
    pub(super) hashes: usize,
}

impl HashMemory {
    /// As many blocks of 1 KiB; `None` when the system has not that much. What is in them is left
    /// over from before: argon2 writes each block before it reads it.
    pub(super) fn blocks(&mut self, count: usize) -> Option<&mut [Block]> {
        #[cfg(test)]
        {
            self.hashes += 1;
        }
        if let Some(missing) = count.checked_sub(self.blocks.len()).filter(|missing| *missing > 0) {
            self.blocks.try_reserve_exact(missing).ok()?;
            self.blocks.resize(count, Block::new());
        }
        self.blocks.get_mut(..count)
    }

    /// Gives back all memory.
    pub fn release(&mut self) {
        self.blocks = Vec::new();
    }

    /// How much is held, KiB.
    pub fn held_kib(&self) -> usize {
        self.blocks.capacity()
    }
}

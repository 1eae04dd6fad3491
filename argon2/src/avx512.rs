//! The compression function of RFC 9106 section 3.5 on registers of eight words.
//!
//! A block is a matrix of 8 by 16 words, and here stands as 16 vectors of 8 words: vector `4 * pair +
//! quarter` holds a quarter of row `2 * pair` and the same quarter of the row below. So the permutation of
//! two rows is lane by lane in four vectors, and that of two columns (each two words wide) is lane by lane
//! in four others: words change places for the diagonals alone. The memory keeps blocks in this order.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi128_si64, _mm512_add_epi64, _mm512_castsi512_si128, _mm512_loadu_epi64,
    _mm512_mul_epu32, _mm512_permutex_epi64, _mm512_permutexvar_epi64, _mm512_ror_epi64, _mm512_set_epi64,
    _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_storeu_epi64, _mm512_xor_si512,
};

use argon2::{Block, Version};

use crate::reference::Segment;

/// Words of a block.
pub(crate) const WORDS: usize = Block::SIZE / 8;

/// Words of a vector.
const WIDTH: usize = 8;

/// The proof that the processor has the instructions: there is no other way to one than
/// [`detect`](Avx512::detect).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// Where the words that choose blocks come from.
pub(crate) enum Choice {
    /// The block before.
    Data,
    /// A counter in a block of its own; its words are those of RFC 9106 section 3.4.1.2.
    Counter([u64; 6]),
}

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    /// Fills a segment of the memory. All of what it may refer to is filled before.
    #[expect(unsafe_code, reason = "compiled for an instruction set that not every processor has")]
    pub(crate) fn fill(self, memory: &mut [Block], segment: &Segment, choice: &Choice, version: Version) {
        // SAFETY: `fill` needs AVX-512F, which `detect` has found.
        unsafe { fill(memory, segment, choice, version) }
    }
}

/// Where the word `number` of a block, counted as RFC 9106 does, is in the order of this module.
pub(crate) const fn place(number: usize) -> usize {
    let (row, column) = (number / 16, number % 16);
    (row / 2 * 4 + column / 4) * WIDTH + row % 2 * 4 + column % 4
}

type State = [__m512i; WORDS / WIDTH];

/// The permutation P on all rows, then on all columns. Written out, and a macro: as a loop or a function of
/// its own, the vectors would go through the memory at each step.
macro_rules! permute {
    ($state:expr) => {{
        let [a0, b0, c0, d0, a1, b1, c1, d1, a2, b2, c2, d2, a3, b3, c3, d3] = $state;
        let [a0, b0, c0, d0] = rows(a0, b0, c0, d0);
        let [a1, b1, c1, d1] = rows(a1, b1, c1, d1);
        let [a2, b2, c2, d2] = rows(a2, b2, c2, d2);
        let [a3, b3, c3, d3] = rows(a3, b3, c3, d3);
        let [a0, a1, a2, a3] = columns(a0, a1, a2, a3);
        let [b0, b1, b2, b3] = columns(b0, b1, b2, b3);
        let [c0, c1, c2, c3] = columns(c0, c1, c2, c3);
        let [d0, d1, d2, d3] = columns(d0, d1, d2, d3);
        [a0, b0, c0, d0, a1, b1, c1, d1, a2, b2, c2, d2, a3, b3, c3, d3]
    }};
}

#[target_feature(enable = "avx512f")]
fn fill(memory: &mut [Block], segment: &Segment, choice: &Choice, version: Version) {
    let is_first_pass = segment.pass == 0;
    let overwrites = is_first_pass || matches!(version, Version::V0x10);
    let mut addresses = match choice {
        Choice::Data => None,
        Choice::Counter(input) => Some(Addresses::new(input)),
    };
    let mut state = load(&memory[segment.before_first()]);
    for position in segment.first()..segment.layout.segment_length {
        let word = match &mut addresses {
            Some(addresses) => addresses.word(position),
            None => first_word(&state),
        };
        let reference = &memory[segment.reference(position, word)];
        state = xor(state, load(reference));
        let block = &mut memory[segment.index(position)];
        let kept = if overwrites { state } else { xor(state, load(block)) };
        state = xor(permute!(state), kept);
        store(&state, block);
    }
}

/// The words that a counter makes, 128 at a time.
struct Addresses {
    input: Block,
    words: Block,
}

impl Addresses {
    fn new(start: &[u64; 6]) -> Self {
        let mut input = Block::new();
        for (number, word) in start.iter().enumerate() {
            input.as_mut()[place(number)] = *word;
        }
        Self { input, words: Block::new() }
    }

    #[target_feature(enable = "avx512f")]
    fn word(&mut self, position: usize) -> u64 {
        // A segment may begin in the midst of a block of addresses.
        if position.is_multiple_of(WORDS) || self.input.as_ref()[place(6)] == 0 {
            self.count();
        }
        self.words.as_ref()[place(position % WORDS)]
    }

    #[inline(never)]
    #[target_feature(enable = "avx512f")]
    fn count(&mut self) {
        self.input.as_mut()[place(6)] += 1;
        let mut state = load(&self.input);
        for _ in 0..2 {
            state = xor(permute!(state), state);
        }
        store(&state, &mut self.words);
    }
}

/// P on two rows, of which each vector has a quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn rows(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let [a, b, c, d] = mix(a, b, c, d);
    let (a, c, d) = (turn_row::<0x93>(a), turn_row::<0x39>(c), turn_row::<0x4e>(d));
    let [a, b, c, d] = mix(a, b, c, d);
    [turn_row::<0x39>(a), b, turn_row::<0x93>(c), turn_row::<0x4e>(d)]
}

/// P on two columns, of which each vector has a quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn columns(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let [a, b, c, d] = mix(a, b, c, d);
    let (a, c, d) = (column_back(a), column_on(c), column_over(d));
    let [a, b, c, d] = mix(a, b, c, d);
    [column_on(a), b, column_back(c), column_over(d)]
}

/// GB of RFC 9106 section 3.6 on eight words at once.
#[inline]
#[target_feature(enable = "avx512f")]
fn mix(mut a: __m512i, mut b: __m512i, mut c: __m512i, mut d: __m512i) -> [__m512i; 4] {
    a = add(a, b);
    d = _mm512_ror_epi64::<32>(_mm512_xor_si512(d, a));
    c = add(c, d);
    b = _mm512_ror_epi64::<24>(_mm512_xor_si512(b, c));
    a = add(a, b);
    d = _mm512_ror_epi64::<16>(_mm512_xor_si512(d, a));
    c = add(c, d);
    b = _mm512_ror_epi64::<63>(_mm512_xor_si512(b, c));
    [a, b, c, d]
}

/// The sum of both and twice the product of their lower halves.
#[inline]
#[target_feature(enable = "avx512f")]
fn add(left: __m512i, right: __m512i) -> __m512i {
    let product = _mm512_mul_epu32(left, right);
    _mm512_add_epi64(_mm512_add_epi64(left, right), _mm512_add_epi64(product, product))
}

/// Turns the four words of each of the two rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn turn_row<const ORDER: i32>(vector: __m512i) -> __m512i {
    _mm512_permutex_epi64::<ORDER>(vector)
}

/// Turns the four words of each of the two columns by one: words 0, 1, 4, 5 are a column, and 2, 3, 6, 7.
#[inline]
#[target_feature(enable = "avx512f")]
fn column_on(vector: __m512i) -> __m512i {
    _mm512_permutexvar_epi64(_mm512_set_epi64(2, 7, 0, 5, 6, 3, 4, 1), vector)
}

/// Turns them by one the other way.
#[inline]
#[target_feature(enable = "avx512f")]
fn column_back(vector: __m512i) -> __m512i {
    _mm512_permutexvar_epi64(_mm512_set_epi64(6, 3, 4, 1, 2, 7, 0, 5), vector)
}

/// Turns them by two.
#[inline]
#[target_feature(enable = "avx512f")]
fn column_over(vector: __m512i) -> __m512i {
    _mm512_shuffle_i64x2::<0x4e>(vector, vector)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(mut left: State, right: State) -> State {
    for (left, right) in left.iter_mut().zip(right) {
        *left = _mm512_xor_si512(*left, right);
    }
    left
}

#[inline]
#[target_feature(enable = "avx512f")]
fn first_word(state: &State) -> u64 {
    _mm_cvtsi128_si64(_mm512_castsi512_si128(state[0])).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "a vector is read through a pointer")]
fn load(block: &Block) -> State {
    let mut state = [_mm512_setzero_si512(); WORDS / WIDTH];
    for (vector, words) in state.iter_mut().zip(block.as_ref().as_chunks::<WIDTH>().0) {
        // SAFETY: `words` are the 8 words that are read; `loadu` asks for no alignment.
        *vector = unsafe { _mm512_loadu_epi64(words.as_ptr().cast()) };
    }
    state
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "a vector is written through a pointer")]
fn store(state: &State, block: &mut Block) {
    for (vector, words) in state.iter().zip(block.as_mut().as_chunks_mut::<WIDTH>().0) {
        // SAFETY: `words` are the 8 words that are written; `storeu` asks for no alignment.
        unsafe { _mm512_storeu_epi64(words.as_mut_ptr().cast(), *vector) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks side by side: what a store of a wrong length would write over is seen.
    #[target_feature(enable = "avx512f")]
    fn copy(from: &Block, blocks: &mut [Block; 3]) {
        store(&load(from), &mut blocks[1]);
    }

    #[test]
    #[cfg_attr(not(builder_has_avx512), ignore = "needs AVX-512")]
    #[expect(unsafe_code, reason = "as in `fill`")]
    fn a_block_is_read_and_written_whole_and_nothing_beside_it() {
        let mut from = Block::new();
        for (number, word) in (1_u64..).zip(from.as_mut()) {
            *word = number << 32 | number;
        }
        let mut blocks = [Block::new(); 3];
        assert!(Avx512::detect().is_some(), "this processor has no AVX-512");
        // SAFETY: `copy` needs AVX-512F, which `detect` has found.
        unsafe { copy(&from, &mut blocks) };
        let [before, copied, after] = blocks;
        assert_eq!(copied.as_ref(), from.as_ref());
        for beside in [before, after] {
            assert!(beside.as_ref().iter().all(|word| *word == 0));
        }
    }

    #[test]
    fn each_word_has_a_place_of_its_own() {
        let mut places: Vec<_> = (0..WORDS).map(place).collect();
        assert_eq!(places[0], 0, "the word that chooses the next block");
        places.sort_unstable();
        assert!(places.into_iter().eq(0..WORDS));
    }
}

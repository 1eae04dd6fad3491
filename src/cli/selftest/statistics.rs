//! Two samples of times, compared by their medians.

use std::time::Duration;

/// How often samples are drawn anew to see how far chance alone moves the ratio.
const RESAMPLES: usize = 2_000;

/// Two samples of one operation.
pub(super) struct Comparison {
    /// The median time for the address that has an account.
    pub known: Duration,
    /// The median time for addresses that have none.
    pub unknown: Duration,
    /// The first over the second.
    pub ratio: f64,
    /// Where the ratio lies with a probability of 95 %, by the percentile bootstrap (Efron 1979).
    pub interval: (f64, f64),
}

/// Compares two samples, neither of them empty.
pub(super) fn compare(known: &[Duration], unknown: &[Duration], chance: &mut Chance) -> Comparison {
    let seconds = |sample: &[Duration]| sample.iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
    let (mut known, mut unknown) = (seconds(known), seconds(unknown));
    let (known_median, unknown_median) = (median(&mut known), median(&mut unknown));
    let mut drawn = (Vec::with_capacity(known.len()), Vec::with_capacity(unknown.len()));
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            chance.draw(&known, &mut drawn.0);
            chance.draw(&unknown, &mut drawn.1);
            median(&mut drawn.0) / median(&mut drawn.1)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    Comparison {
        known: Duration::from_secs_f64(known_median),
        unknown: Duration::from_secs_f64(unknown_median),
        ratio: known_median / unknown_median,
        interval: (ratios[RESAMPLES / 40], ratios[RESAMPLES - 1 - RESAMPLES / 40]),
    }
}

fn median(sample: &mut [f64]) -> f64 {
    sample.sort_by(f64::total_cmp);
    let middle = sample.len() / 2;
    if sample.len() % 2 == 1 { sample[middle] } else { f64::midpoint(sample[middle - 1], sample[middle]) }
}

/// Chance for orders and resamples: SplitMix64 (Steele, Lea, Flood 2014), which no secret hangs on.
pub(super) struct Chance(u64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0; its bias is bound / 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.next()) * bound as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// Brings things into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }

    /// Draws as many as there are, with replacement.
    fn draw(&mut self, sample: &[f64], into: &mut Vec<f64>) {
        into.clear();
        into.extend((0..sample.len()).map(|_| sample[self.below(sample.len())]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(around: u64, chance: &mut Chance) -> Vec<Duration> {
        (0..200).map(|_| Duration::from_micros(around + chance.below(1_000) as u64)).collect()
    }

    #[test]
    fn a_median_is_the_middle_one_or_between_the_middle_two() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&mut [4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!((median(&mut [7.0]) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn samples_of_one_kind_are_close_and_of_two_kinds_are_not() {
        let mut chance = Chance::seeded(1);
        let (a, b) = (sample(10_000, &mut chance), sample(10_000, &mut chance));
        let alike = compare(&a, &b, &mut chance);
        assert!((0.98..1.02).contains(&alike.ratio), "{}", alike.ratio);
        assert!(alike.interval.0 < 1.0 && alike.interval.1 > 1.0, "{:?}", alike.interval);
        let slow = sample(12_000, &mut chance);
        let apart = compare(&slow, &b, &mut chance);
        assert!((1.15..1.25).contains(&apart.ratio), "{}", apart.ratio);
        assert!(apart.interval.0 > 1.1, "{:?}", apart.interval);
    }

    #[test]
    fn an_order_keeps_everything() {
        let mut things: Vec<usize> = (0..100).collect();
        Chance::seeded(1).shuffle(&mut things);
        assert_ne!(things, (0..100).collect::<Vec<_>>());
        things.sort_unstable();
        assert_eq!(things, (0..100).collect::<Vec<_>>());
    }
}

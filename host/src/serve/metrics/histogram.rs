//! A histogram of durations with fixed bounds.

use super::Counter;

/// Upper bounds, in microseconds.
pub(in crate::serve) const BOUNDS_US: [u64; 20] = [
    5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 500_000,
    2_000_000,
];

/// Counts by bucket, the last for what is beyond all bounds, and the sum.
#[derive(Debug, Default)]
pub(in crate::serve) struct Histogram {
    buckets: [Counter; BOUNDS_US.len() + 1],
    sum_us: Counter,
}

impl Histogram {
    pub(in crate::serve) fn observe(&self, micros: u64) {
        let bucket = BOUNDS_US.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS_US.len());
        self.buckets[bucket].add(1);
        self.sum_us.add(micros);
    }

    /// Counts by bucket and the sum, to be added up over workers.
    pub(in crate::serve) fn read(&self) -> ([u64; BOUNDS_US.len() + 1], u64) {
        let mut counts = [0; BOUNDS_US.len() + 1];
        counts.iter_mut().zip(&self.buckets).for_each(|(to, from)| *to = from.get());
        (counts, self.sum_us.get())
    }
}

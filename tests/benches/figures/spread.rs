//! Samples of one thing, and what is said of them.

use std::time::Duration;

/// Samples in order of size; never empty.
#[derive(Debug, Clone)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    /// Samples in any order and unit.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        assert!(!samples.is_empty(), "something was measured");
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// In microseconds.
    pub(crate) fn microseconds<'a>(samples: impl IntoIterator<Item = &'a Duration>) -> Self {
        Self::of(samples.into_iter().map(|sample| sample.as_secs_f64() * 1e6))
    }

    /// In milliseconds.
    pub(crate) fn milliseconds<'a>(samples: impl IntoIterator<Item = &'a Duration>) -> Self {
        Self::of(samples.into_iter().map(|sample| sample.as_secs_f64() * 1e3))
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The one that half of them do not exceed.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The one that `percent` of them do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    /// Their mean.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.iter().map(|_| 1.0).sum::<f64>()
    }

    /// The smallest.
    pub(crate) fn least(&self) -> f64 {
        self.0[0]
    }

    /// The largest.
    pub(crate) fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

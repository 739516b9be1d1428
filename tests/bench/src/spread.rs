//! Medians and ranges of repeated measurements.

/// The median and the extremes of repeated measurements.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Spread {
    /// Returns the spread of one value.
    pub fn single(value: f64) -> Self {
        Self { median: value, min: value, max: value }
    }

    /// Computes the spread of at least one value.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self { median: (at(last / 2) + at(sorted.len() / 2)) / 2.0, min: at(0), max: at(last) }
    }

    /// Computes the spread of the ratio of ours to theirs: the ratio of the medians, and the extremes of the ratios
    /// of neighbouring turns.
    pub fn ratio(ours: &[f64], theirs: &[f64]) -> Self {
        let each: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        Self { median: Self::of(ours).median / Self::of(theirs).median, ..Self::of(&each) }
    }
}

//! Medians, and how far the values lie apart.

/// The middle and the ends of repeated measurements.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Middle value.
    pub median: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self { median: (at(last / 2) + at(sorted.len() / 2)) / 2.0, min: at(0), max: at(last) }
    }

    /// Of the ratio ours to theirs: the medians' ratio, and the ends of the ratios of neighbouring turns.
    pub fn ratio(ours: &[f64], theirs: &[f64]) -> Self {
        let each: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        Self { median: Self::of(ours).median / Self::of(theirs).median, ..Self::of(&each) }
    }
}

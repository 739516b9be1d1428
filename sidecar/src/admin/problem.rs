//! An error that a page shows beside its form.

use super::errors::sentence;
use crate::error::ApiError;

/// An error, and how to resolve it.
pub struct Problem {
    /// Explanation, as a sentence.
    pub message: String,
    /// Action that resolves the error.
    pub hint: Option<String>,
}

impl Problem {
    /// Creates the problem of an error that concerns the user's values. Other errors are for the page of errors.
    ///
    /// # Errors
    /// Returns an error that is not about the request.
    pub fn of(error: ApiError) -> Result<Self, ApiError> {
        if !error.status().is_client_error() {
            return Err(error);
        }
        Ok(Self { message: sentence(error.message()), hint: error.hint().map(ToOwned::to_owned) })
    }

    /// Names the fields of the form, as their labels do, instead of the parameters. Each pair has a parameter and a label.
    pub fn labelled(mut self, labels: &[(&str, &str)]) -> Self {
        for (parameter, label) in labels {
            let begin = sentence(parameter);
            if let Some(rest) = self.message.strip_prefix(&format!("{}: ", begin.trim_end_matches('.'))) {
                self.message = format!("{label}: {rest}");
                break;
            }
        }
        self
    }
}

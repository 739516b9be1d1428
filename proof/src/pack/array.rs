//! The JSON arrays of a pack, in which each element has a line of its own.

/// A reader of such an array, line by line: `[`, the elements, and `]`. A comma follows each element but the last, and
/// a line feed ends each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Array(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Before,
    Open,
    Element,
    Last,
    Closed,
}

impl Array {
    /// Returns the reader in its state before the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next line without its line feed, and returns the element on it, if it has one.
    ///
    /// # Errors
    /// [`NotAnArray`] if the format does not allow this line here.
    pub fn line<'a>(&mut self, line: &'a [u8]) -> Result<Option<&'a [u8]>, NotAnArray> {
        let (next, element) = match (self.0, line) {
            (State::Before, b"[") => (State::Open, None),
            (State::Open | State::Last, b"]") => (State::Closed, None),
            (State::Open | State::Element, [element @ .., b',']) => (State::Element, Some(element)),
            (State::Open | State::Element, [_, ..]) => (State::Last, Some(line)),
            _ => return Err(NotAnArray),
        };
        self.0 = next;
        Ok(element)
    }

    /// Checks that the array is complete.
    ///
    /// # Errors
    /// [`NotAnArray`] if it is not.
    pub fn end(self) -> Result<(), NotAnArray> {
        if self.0 == State::Closed { Ok(()) } else { Err(NotAnArray) }
    }
}

/// The lines are not those of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is not a JSON array with one element on each line")]
pub struct NotAnArray;

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Result<Vec<&str>, NotAnArray> {
        let mut array = Array::new();
        let mut elements = Vec::new();
        for line in text.strip_suffix('\n').ok_or(NotAnArray)?.split('\n') {
            elements.extend(array.line(line.as_bytes())?.map(|element| str::from_utf8(element).unwrap()));
        }
        array.end().map(|()| elements)
    }

    #[test]
    fn elements_stand_on_lines() {
        assert_eq!(elements("[\n]\n"), Ok(vec![]));
        assert_eq!(elements("[\n{}\n]\n"), Ok(vec!["{}"]));
        assert_eq!(elements("[\n{},\n{\"a\":1}\n]\n"), Ok(vec!["{}", "{\"a\":1}"]));
    }

    #[test]
    fn nothing_else_is_an_array() {
        for text in
            ["[\n", "\n", "[]\n", "[\n{},\n]\n", "[\n{}\n{}\n]\n", "[\n\n]\n", "[\n]\n]\n", "[\n{}\n]\n{}\n", "{}\n"]
        {
            assert_eq!(elements(text), Err(NotAnArray), "{text}");
        }
    }
}

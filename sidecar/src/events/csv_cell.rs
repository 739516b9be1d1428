//! Cells of a CSV file that a spreadsheet must not run as formulas.

use std::borrow::Cow;

/// Marks a file as UTF-8. Without it, Excel assumes the code page of the machine.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns the cell for a CSV file that may be opened in a spreadsheet. If a spreadsheet would run the cell as a
/// formula, an apostrophe precedes it.
///
/// This concerns every cell that begins with one of `=`, `+`, `-`, `@`, tab, carriage return or line feed. It also
/// concerns the full-width forms `＝`, `＋`, `－`, `＠`, which are equivalent in East Asian locales. The sidecar's own
/// numbers are not passed to this function.
pub fn defuse(cell: &str) -> Cow<'_, str> {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            let mut safe = String::with_capacity(cell.len() + 1);
            safe.push('\'');
            safe.push_str(cell);
            Cow::Owned(safe)
        }
        _ => Cow::Borrowed(cell),
    }
}

/// Appends a row of CSV (RFC 4180). Cells with a quote, a comma or a line break are quoted, and the row ends with CR
/// LF. The cells are not defused; see [`defuse`].
///
/// The `csv` crate is not used here: it scans a quoted cell from its start for each block of output. That takes minutes
/// for a cell of 20 MB.
pub fn write_row<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if !cell.contains(['"', ',', '\r', '\n']) {
            out.extend_from_slice(cell.as_bytes());
            continue;
        }
        out.push(b'"');
        for (at, part) in cell.split('"').enumerate() {
            if at > 0 {
                out.extend_from_slice(b"\"\"");
            }
            out.extend_from_slice(part.as_bytes());
        }
        out.push(b'"');
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{defuse, write_row};

    #[test]
    fn another_reader_reads_the_same_cells() {
        let rows = [["", "a", "a b"], ["a,b", "\"", "\"\"x\""], ["a\r\nb", "\n", "ü'"]];
        let mut out = Vec::new();
        for row in rows {
            write_row(row, &mut out);
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*out);
        let read: Vec<Vec<String>> = reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(read, rows);
    }

    #[test]
    fn formulas_get_an_apostrophe_and_nothing_else_changes() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"] {
            assert_eq!(defuse(formula), format!("'{formula}"));
        }
        for plain in ["", "a=1", " =1", "'=1", "1-1", "ü", "{\"a\": 1}"] {
            assert_eq!(defuse(plain), plain);
        }
    }
}

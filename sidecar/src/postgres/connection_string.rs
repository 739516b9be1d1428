//! The syntax of connection strings: parameters that tokio-postgres does not know are taken out
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>).

use std::collections::BTreeMap;

use url::form_urlencoded;

/// Parameters by their names.
pub type Parameters = BTreeMap<String, String>;

/// Takes the named parameters out of a connection string. Returns the rest of the string, and their values.
///
/// # Errors
/// Fails with the reason if the string is not valid. The reason does not show its values.
pub fn take(text: &str, names: &[&str]) -> Result<(String, Parameters), String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(take_from_url(text, names))
    } else {
        take_from_pairs(text, names)
    }
}

fn take_from_url(text: &str, names: &[&str]) -> (String, Parameters) {
    let Some((start, query)) = text.split_once('?') else { return (text.to_owned(), Parameters::new()) };
    let mut taken = Parameters::new();
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let parsed = form_urlencoded::parse(pair.as_bytes()).next();
            let named = parsed.filter(|(name, _)| names.contains(&name.as_ref()));
            if let Some((name, value)) = &named {
                taken.insert(name.to_string(), value.to_string());
            }
            named.is_none()
        })
        .collect();
    let rest = if rest.is_empty() { start.to_owned() } else { format!("{start}?{}", rest.join("&")) };
    (rest, taken)
}

fn take_from_pairs(text: &str, names: &[&str]) -> Result<(String, Parameters), String> {
    let mut taken = Parameters::new();
    let mut rest = String::new();
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (name, after) = left.split_once('=').ok_or("a parameter has no value")?;
        let (value, after) = value(after.trim_start())?;
        if names.contains(&name.trim_end()) {
            taken.insert(name.trim_end().to_owned(), value);
        } else {
            rest.push_str(&left[..left.len() - after.len()]);
            rest.push(' ');
        }
        left = after.trim_start();
    }
    Ok((rest, taken))
}

/// Reads a value: in quotation marks, or up to the next space. A backslash precedes a character that stands for itself.
fn value(text: &str) -> Result<(String, &str), String> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            '\'' if is_quoted => return Ok((value, &text[at + 1..])),
            _ if !is_quoted && character.is_whitespace() => return Ok((value, &text[at..])),
            _ => value.push(character),
        }
    }
    if is_quoted { Err("a quotation mark is not closed".to_owned()) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use super::take;

    #[test]
    fn named_parameters_are_taken_and_others_stay() {
        let names = ["sslmode", "sslrootcert"];
        for (text, rest, mode, root) in [
            (
                "postgresql://u:p%3F@a,b/x?sslmode=require&options=-c%20x%3D1",
                "postgresql://u:p%3F@a,b/x?options=-c%20x%3D1",
                Some("require"),
                None,
            ),
            ("postgres://db/x?sslrootcert=%2Fa%20b.pem", "postgres://db/x", None, Some("/a b.pem")),
            ("postgres://db/x", "postgres://db/x", None, None),
            ("host=db sslmode=verify-full password='a b' ", "host=db password='a b' ", Some("verify-full"), None),
            (" sslrootcert = '/it\\'s a.pem'  sslmode\n=\n''  host=/tmp", "host=/tmp ", Some(""), Some("/it's a.pem")),
            ("sslrootcert=/a\\ b.pem", "", None, Some("/a b.pem")),
        ] {
            let (left, taken) = take(text, &names).unwrap();
            assert_eq!(left, rest, "{text}");
            assert_eq!(taken.get("sslmode").map(String::as_str), mode, "{text}");
            assert_eq!(taken.get("sslrootcert").map(String::as_str), root, "{text}");
        }
        for text in ["host", "password='abc", "host=a sslmode"] {
            let error = take(text, &names).unwrap_err();
            assert!(!error.contains("abc"), "{error}");
        }
    }
}

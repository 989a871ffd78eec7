//! Splitting of an input into documents, as in kubectl: an input that begins with `{` is a stream of JSON values, as
//! long as they parse as JSON; any other input is split at lines that begin with `---`, even inside of block scalars.

use serde::de::IgnoredAny;

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::manifest::yaml::refused;

/// The number of bytes in which kubectl looks for the `{` of a JSON stream.
const GUESS_BYTES: usize = 4096;
/// After JSON, kubectl looks ahead this many bytes. If fewer are left, it reads no YAML.
const LOOK_BYTES: usize = 4;

/// The text of one document.
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The line of the input at which the document begins.
    pub(super) first_line: usize,
    pub(super) is_json: bool,
}

/// Iterator over the documents of an input. The input must end with a line end.
pub(super) struct Documents<'a> {
    rest: &'a str,
    line: usize,
    is_json: bool,
    json_values: usize,
}

impl<'a> Documents<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let is_json = text.trim_start().starts_with('{') && text.len() - text.trim_start().len() < GUESS_BYTES;
        Self { rest: text, line: 1, is_json, json_values: 0 }
    }

    /// Takes bytes from the rest of the input.
    fn take(&mut self, bytes: usize) -> Document<'a> {
        let (text, rest) = self.rest.split_at(bytes);
        let document = Document { text, first_line: self.line, is_json: self.is_json };
        self.line += text.matches('\n').count();
        self.rest = rest;
        document
    }

    fn json(&mut self) -> Option<Result<Document<'a>, Invalid>> {
        let spaces = self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        if spaces == self.rest.len() {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<IgnoredAny>();
        if values.next().is_some_and(|value| value.is_ok()) {
            let end = values.byte_offset();
            self.json_values += 1;
            self.take(spaces);
            return Some(Ok(self.take(end - spaces)));
        }
        if self.json_values > 1 {
            self.take(spaces);
            return Some(Err(refused(InvalidCode::YamlSyntax, "invalid JSON after JSON values", self.line)));
        }
        self.is_json = false;
        // Consume the blank rest of the value's line, so that YAML does not start in it.
        while let Some(c) = self.rest.chars().next() {
            if self.rest.len() < LOOK_BYTES {
                return Some(Err(refused(InvalidCode::YamlSyntax, "invalid JSON", self.line)));
            }
            if !c.is_whitespace() {
                break;
            }
            self.take(c.len_utf8());
            if c == '\n' {
                break;
            }
        }
        self.yaml()
    }

    fn yaml(&mut self) -> Option<Result<Document<'a>, Invalid>> {
        let mut end = 0;
        for line in self.rest.split_inclusive('\n') {
            if let Some(after) = line.strip_prefix("---") {
                let after = after.trim();
                if !after.is_empty() && !after.starts_with('#') {
                    let place = self.line + self.rest.get(..end).unwrap_or_default().matches('\n').count();
                    let message =
                        format!("document separator --- is followed by {}; move it to the next line", excerpt(after));
                    return Some(Err(refused(InvalidCode::YamlSyntax, &message, place)));
                }
                if end > 0 {
                    let document = self.take(end);
                    // The separator belongs to no document.
                    self.take(line.len());
                    return Some(Ok(document));
                }
            }
            end += line.len();
        }
        (end > 0).then(|| Ok(self.take(end)))
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<Document<'a>, Invalid>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = if self.is_json { self.json() } else { self.yaml() };
        if let Some(Err(_)) = next {
            // Stop after an error.
            self.rest = "";
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(text: &str) -> Vec<String> {
        let shown = |document: Result<Document<'_>, Invalid>| match document {
            Ok(it) => format!("{}{}:{}", if it.is_json { "j" } else { "y" }, it.first_line, it.text),
            Err(error) => format!("refused {}", error.message),
        };
        Documents::of(&format!("{text}\n")).map(shown).collect()
    }

    #[test]
    fn yaml_is_split_at_separator_lines() {
        assert_eq!(parted("a: 1\n---\nb: 2"), ["y1:a: 1\n", "y3:b: 2\n"]);
        assert_eq!(parted("---\na: 1\n--- # b\nb: 2"), ["y1:---\na: 1\n", "y4:b: 2\n"]);
        assert_eq!(parted("---\n---\na: 1"), ["y1:---\n", "y3:a: 1\n"]);
        assert_eq!(parted("a: 1\r\n---\r\nb: 2\r"), ["y1:a: 1\r\n", "y3:b: 2\r\n"]);
        assert_eq!(parted("a: |\n  ---\n ---"), ["y1:a: |\n  ---\n ---\n"], "not at the line's begin");
        for text in ["--- a: 1", "a: 1\n---- ", "---\n---b"] {
            assert!(parted(text).last().is_some_and(|it| it.starts_with("refused")), "{text}");
        }
        let error = Documents::of("a: 1\n---\nb: 2\n--- c\n").find_map(Result::err).expect("refused");
        assert!(error.message.contains("line 4"), "{}", error.message);
    }

    #[test]
    fn json_is_split_at_values_and_may_turn_into_yaml_after_the_first() {
        assert_eq!(parted("{}{\"a\":1}\n [1]"), ["j1:{}", "j1:{\"a\":1}", "j2:[1]"]);
        assert_eq!(parted("\n {\"a\":1}\n---\nb: 2"), ["j2:{\"a\":1}", "y3:---\nb: 2\n"]);
        assert_eq!(parted("{\"a\":1} # comment"), ["j1:{\"a\":1}", "y1:# comment\n"]);
        assert_eq!(parted("{a: 1}\n---\n{\"b\": 2}"), ["y1:{a: 1}\n", "y3:{\"b\": 2}\n"], "never back to JSON");
        assert_eq!(parted("{\"a\":1}\n---\n{\"b\":1}\n---\n{}"), ["j1:{\"a\":1}", "y2:---\n{\"b\":1}\n", "y5:{}\n"]);
        assert!(parted("{}{}\n---\nb: 2")[2].starts_with("refused"), "two values make it JSON");
        assert!(parted("{}\n#")[1].starts_with("refused"), "three bytes are too few");
        assert_eq!(parted("{}\n# c"), ["j1:{}", "y2:# c\n"]);
        let far = format!("{}{{}}", " ".repeat(GUESS_BYTES));
        assert!(parted(&far)[0].starts_with('y'));
        assert!(parted(&far[1..])[0].starts_with('j'));
    }
}

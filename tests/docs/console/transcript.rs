//! A console block: commands, and lines of their output.

/// The commands of a block, and the lines that their output must contain in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) commands: String,
    pub(crate) expected: Vec<String>,
}

impl Transcript {
    pub(crate) fn parse(text: &str) -> Self {
        let (mut commands, mut expected, mut continues) = (String::new(), Vec::new(), false);
        for line in text.lines() {
            let command = if continues { Some(line) } else { line.strip_prefix("$ ") };
            match command {
                Some(command) => {
                    continues = command.ends_with('\\');
                    commands.push_str(command);
                    commands.push('\n');
                }
                None if matches!(line.trim(), "" | "…") => {}
                None => expected.push(line.trim_end().to_owned()),
            }
        }
        Self { commands, expected }
    }

    /// The first expected line that the output does not contain.
    pub(crate) fn missing(&self, output: &str) -> Option<&str> {
        let mut lines = output.lines();
        self.expected.iter().find(|it| !lines.any(|line| matches(it, line.trim_end()))).map(String::as_str)
    }
}

/// Whether a line matches, where `…` matches anything.
fn matches(expected: &str, line: &str) -> bool {
    let mut pieces = expected.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut is_exact = true;
    for piece in pieces {
        let Some(at) = (if piece.is_empty() { Some(rest.len()) } else { rest.find(piece) }) else { return false };
        rest = &rest[at + piece.len()..];
        is_exact = piece.is_empty();
    }
    // The last piece must be at the end, although it may also occur earlier.
    rest.is_empty() || (!is_exact && expected.rsplit('…').next().is_some_and(|last| rest.ends_with(last)))
}

#[test]
fn dollar_lines_are_commands_and_the_rest_is_output() {
    let transcript = Transcript::parse("$ curl \\\n    -s /\n…\n{\n  \"id\": \"…\",\n\n$ true\n");
    assert_eq!(transcript.commands, "curl \\\n    -s /\ntrue\n");
    assert_eq!(transcript.expected, ["{", "  \"id\": \"…\","]);
    assert_eq!(transcript.missing("x\n{\n  \"id\": \"7\",\n}"), None);
    assert_eq!(transcript.missing("  \"id\": \"7\",\n{\n"), Some("  \"id\": \"…\","));
}

#[test]
fn ellipsis_matches_anything() {
    for (expected, line, is_match) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("…b", "ab", true),
        ("…b", "abab", true),
        ("…b", "ba", false),
        ("a…c…e", "abcde", true),
        ("a…e…c", "abcde", false),
        ("…", "", true),
    ] {
        assert_eq!(matches(expected, line), is_match, "{expected} and {line}");
    }
}

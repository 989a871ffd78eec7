//! The code blocks of Markdown pages.

/// A fenced code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The language; empty if the block names none.
    pub language: String,
    /// The attributes after the language, without commas.
    pub attributes: Vec<String>,
    /// The line of the page on which the block begins, counted from 1.
    pub line: usize,
    /// The content of the block.
    pub text: String,
}

impl Block {
    /// Whether the block has an attribute.
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|it| it == attribute)
    }

    /// The value of an attribute `name=value`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The fenced code blocks of a page, from top to bottom.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(info), None) => {
                let mut words = info.split(',').map(|it| it.trim().to_owned());
                let language = words.next().unwrap_or_default();
                open = Some(Block { language, attributes: words.collect(), line: number + 1, text: String::new() });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_language_attributes_and_content() {
        let found = blocks("a\n```console,eventually,file=x.toml\n$ true\n```\n```\nplain\n```\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].language.as_str(), found[0].line, found[0].text.as_str()), ("console", 2, "$ true\n"));
        assert!(found[0].has("eventually") && !found[0].has("background"));
        assert_eq!(found[0].attribute("file"), Some("x.toml"));
        assert_eq!((found[1].language.as_str(), found[1].text.as_str()), ("", "plain\n"));
    }
}

//! Compiled examples in the documentation.

use super::Finding;
use super::sources::Sources;

/// Minimum number of examples.
const EXAMPLES: usize = 30;

/// Counts the code blocks in doc comments of libraries that `cargo test` compiles.
pub(super) fn examples(sources: &Sources) -> Finding {
    let libraries = sources.0.iter().filter(|it| {
        it.path.starts_with("brokkr")
            || it.path.iter().next().is_some_and(|top| top.to_string_lossy().starts_with("brokkr-"))
    });
    let count: usize = libraries.map(|it| count(&it.text)).sum();
    let wrong =
        if count < EXAMPLES { vec![format!("add examples: at least {EXAMPLES} are required")] } else { Vec::new() };
    Finding { name: "doc-examples", figure: count.to_string(), wrong }
}

fn count(text: &str) -> usize {
    let mut inside = false;
    let mut count = 0;
    for line in text.lines().map(str::trim_start) {
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        let Some(language) = doc.trim().strip_prefix("```") else { continue };
        inside = !inside;
        let is_compiled =
            language.split(',').all(|it| matches!(it, "" | "rust" | "no_run" | "should_panic" | "compile_fail"));
        count += usize::from(inside && is_compiled);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compiled_blocks_are_counted() {
        let text = "/// ```\n/// let a = 1;\n/// ```\nfn a() {}\n//! ```no_run\n//! ```\n/// ```toml\n/// ```\n/// ```ignore\n/// ```\n";
        assert_eq!(count(text), 2);
    }
}

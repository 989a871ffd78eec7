//! `cargo xtask check docs`: errors in the README and the book.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brokkr_testbed::markdown::blocks;
use brokkr_testbed::{Error, Result};

use crate::run::root;

/// The files that list the pages with Rust blocks, and those with commands.
const COMPILED: &str = "tests/docs/src/lib.rs";
const EXECUTED: &str = "tests/docs/console/main.rs";

struct Page {
    /// Path relative to the workspace.
    path: PathBuf,
    text: String,
}

pub(crate) fn run() -> Result<()> {
    let pages = pages()?;
    let mut errors = Vec::new();
    for page in &pages {
        errors.extend(links(page).into_iter().filter_map(|link| link_error(page, &link, &pages)));
    }
    let book: Vec<&Page> =
        pages.iter().filter(|it| it.path == Path::new("README.md") || it.path.starts_with("docs")).collect();
    let (compiled, run) = (fs::read_to_string(root().join(COMPILED))?, fs::read_to_string(root().join(EXECUTED))?);
    for page in &book {
        errors.extend(unchecked_blocks(page, &compiled, &run));
    }
    errors.extend(unlisted(&book));
    println!("docs-pages {}", book.len());
    println!("docs-wrong {}", errors.len());
    if errors.is_empty() {
        return Ok(());
    }
    for line in &errors {
        println!("    {line}");
    }
    Err(Error::new("the documentation has errors; the lines above give the place of each"))
}

/// Reads every Markdown file that git tracks, or that is new and not ignored, sorted by path.
fn pages() -> Result<Vec<Page>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"])
        .current_dir(root())
        .output()?;
    if !listed.status.success() {
        return Err(Error::new(format!("git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr).trim())));
    }
    let names = String::from_utf8(listed.stdout).map_err(|_| Error::new("the path of a page is not UTF-8"))?;
    let paths: BTreeSet<PathBuf> = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    // A deleted page stays in the index until the deletion is added.
    let existing = paths.into_iter().filter(|path| root().join(path).exists());
    existing.map(|path| Ok(Page { text: fs::read_to_string(root().join(&path))?, path })).collect()
}

/// The lines outside of fenced code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The destinations of a page's links, without titles. Omits those in code blocks and those outside the project.
fn links(page: &Page) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(&page.text) {
        let inner = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(inner, _)| inner);
        let destinations = inner.filter_map(|inner| inner.split_whitespace().next());
        found.extend(destinations.filter(|it| !it.contains("://") && !it.starts_with("mailto:")).map(str::to_owned));
    }
    found
}

/// The error of a link: its file is missing, or the heading in it.
fn link_error(page: &Page, link: &str, pages: &[Page]) -> Option<String> {
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() { page.path.clone() } else { resolve(&page.path, file) };
    if !root().join(&target).exists() {
        return Some(format!("{}: the target of the link {link} does not exist", page.path.display()));
    }
    let heading = heading?;
    let exists = pages.iter().any(|it| it.path == target && anchors(&it.text).iter().any(|it| it == heading));
    (!exists)
        .then(|| format!("{}: {} has no heading that matches the link {link}", page.path.display(), target.display()))
}

/// Resolves the path of a link relative to the folder of its page.
fn resolve(from: &Path, file: &str) -> PathBuf {
    let mut path = from.parent().map(Path::to_path_buf).unwrap_or_default();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

/// The anchors of a page's headings, as GitHub and mdBook generate them: a repeated heading gets `-1`, then `-2`.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
            let anchor: String = kept.map(|it| if it == ' ' { '-' } else { it }).collect();
            let repeats = seen.entry(anchor.clone()).and_modify(|count| *count += 1).or_insert(0);
            if *repeats == 0 { anchor } else { format!("{anchor}-{repeats}") }
        })
        .collect()
}

/// The code blocks that no test compiles or runs.
fn unchecked_blocks(page: &Page, compiled: &str, run: &str) -> Vec<String> {
    let path = page.path.to_string_lossy();
    let in_book = path.strip_prefix("docs/").unwrap_or(&path);
    let mut errors = Vec::new();
    for block in blocks(&page.text) {
        let error = match block.language.as_str() {
            "text" => None,
            "rust" if compiled.contains(&format!("\"{in_book}\"")) => None,
            "rust" => Some(format!("add the page to {COMPILED}")),
            _ if block.language != "console" && block.attribute("file").is_none() => Some(format!(
                "no test checks the language {:?}; docs/CONTRIBUTING.md lists the languages to use",
                block.language
            )),
            _ if run.contains(&format!("\"{path}\"")) => None,
            _ => Some(format!("add the page to {EXECUTED}")),
        };
        errors.extend(error.map(|error| format!("{path}:{}: {error}", block.line)));
    }
    errors
}

/// Pages of the book that its table of contents does not list.
fn unlisted(book: &[&Page]) -> Vec<String> {
    let summary = Path::new("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> = book
        .iter()
        .filter(|it| it.path == summary)
        .flat_map(|page| links(page).into_iter().map(|link| resolve(summary, &link)))
        .collect();
    let pages = book.iter().filter(|it| it.path.starts_with("docs") && it.path != summary);
    let missing = pages.filter(|it| !listed.contains(&it.path));
    missing.map(|it| format!("add {} to docs/SUMMARY.md", it.path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: PathBuf::from("docs/how-to/page.md"), text: text.to_owned() }
    }

    #[test]
    fn links_resolve_from_their_page() {
        let found = links(&page(
            "[a](../x.md#y \"Title\") and [b](https://example.org), [m](mailto:a@example.org)\n```text\n[c](d)\n```\n[e](f.md)\n",
        ));
        assert_eq!(found, ["../x.md#y", "f.md"]);
        assert_eq!(resolve(Path::new("docs/how-to/page.md"), "../x.md"), Path::new("docs/x.md"));
    }

    #[test]
    fn headings_become_anchors() {
        let text = "# One\ntext\n## Add a route: `x`\n```console\n# comment\n```\n## One\n### One\n";
        assert_eq!(anchors(text), ["one", "add-a-route-x", "one-1", "one-2"]);
    }

    #[test]
    fn unchecked_blocks_are_reported() {
        let text = "```rust\n```\n```console\n```\n```toml\n```\n```text\n```\n```toml,file=target/x\n```\n";
        assert_eq!(unchecked_blocks(&page(text), "", "").len(), 4);
        assert_eq!(unchecked_blocks(&page(text), "\"how-to/page.md\"", "\"docs/how-to/page.md\"").len(), 1);
    }
}

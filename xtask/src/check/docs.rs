//! `cargo xtask check docs`: errors in the README and the book.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use brokkr_testbed::markdown::blocks;
use brokkr_testbed::{Error, Result};

use crate::run::root;

/// The files that list the pages with Rust blocks, and those with commands.
const COMPILED: &str = "tests/docs/src/lib.rs";
const RUN: &str = "tests/docs/console/main.rs";
/// Folders without the project's own pages.
const SKIPPED: [&str; 3] = ["target", "node_modules", ".git"];

struct Page {
    /// Path relative to the workspace.
    path: PathBuf,
    text: String,
}

pub(crate) fn run() -> Result<()> {
    let pages = pages()?;
    let mut wrong = Vec::new();
    for page in &pages {
        wrong.extend(links(page).into_iter().filter_map(|link| broken(page, &link, &pages)));
    }
    let book: Vec<&Page> =
        pages.iter().filter(|it| it.path == Path::new("README.md") || it.path.starts_with("docs")).collect();
    let (compiled, run) = (fs::read_to_string(root().join(COMPILED))?, fs::read_to_string(root().join(RUN))?);
    for page in &book {
        wrong.extend(code(page, &compiled, &run));
    }
    wrong.extend(unlisted(&book));
    println!("docs-pages {}", book.len());
    println!("docs-wrong {}", wrong.len());
    if wrong.is_empty() {
        return Ok(());
    }
    for line in &wrong {
        println!("    {line}");
    }
    Err(Error::new("the documentation has errors; the lines above give the place of each"))
}

/// Reads every Markdown file of the project, sorted by path.
fn pages() -> Result<Vec<Page>> {
    let (mut folders, mut pages) = (vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| !SKIPPED.iter().any(|it| name == *it)) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|it| it == "md") {
                let text = fs::read_to_string(&path)?;
                pages.push(Page { path: path.strip_prefix(root()).map_or(path.clone(), Path::to_path_buf), text });
            }
        }
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(pages)
}

/// The targets of a page's links, except those in code blocks and those outside the project.
fn links(page: &Page) -> Vec<String> {
    let (mut inside, mut found) = (false, Vec::new());
    for line in page.text.lines() {
        inside ^= line.trim_start().starts_with("```");
        if inside {
            continue;
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        found.extend(targets.filter(|it| !it.contains("://")).map(str::to_owned));
    }
    found
}

/// The error of a link: its file is missing, or the heading in it.
fn broken(page: &Page, link: &str, pages: &[Page]) -> Option<String> {
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() { page.path.clone() } else { resolved(&page.path, file) };
    if !root().join(&target).exists() {
        return Some(format!("{}: the target of the link {link} does not exist", page.path.display()));
    }
    let heading = heading?;
    let there = pages.iter().any(|it| it.path == target && headings(&it.text).any(|it| it == heading));
    (!there)
        .then(|| format!("{}: {} has no heading that matches the link {link}", page.path.display(), target.display()))
}

/// Resolves the path of a link relative to the folder of its page.
fn resolved(from: &Path, file: &str) -> PathBuf {
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

/// The anchors of a page's headings, as GitHub and mdBook generate them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    })
}

/// The code blocks that no test compiles or runs.
fn code(page: &Page, compiled: &str, run: &str) -> Vec<String> {
    let path = page.path.to_string_lossy();
    let in_book = path.strip_prefix("docs/").unwrap_or(&path);
    let mut wrong = Vec::new();
    for block in blocks(&page.text) {
        let why = match block.language.as_str() {
            "text" => None,
            "rust" if compiled.contains(&format!("\"{in_book}\"")) => None,
            "rust" => Some(format!("add the page to {COMPILED}")),
            _ if block.language != "console" && block.attribute("file").is_none() => Some(format!(
                "no test checks the language {:?}; docs/CONTRIBUTING.md lists the languages to use",
                block.language
            )),
            _ if run.contains(&format!("\"{path}\"")) => None,
            _ => Some(format!("add the page to {RUN}")),
        };
        wrong.extend(why.map(|why| format!("{path}:{}: {why}", block.line)));
    }
    wrong
}

/// Pages of the book that its table of contents does not list.
fn unlisted(book: &[&Page]) -> Vec<String> {
    let summary = Path::new("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> = book
        .iter()
        .filter(|it| it.path == summary)
        .flat_map(|page| links(page).into_iter().map(|link| resolved(summary, &link)))
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
        let found = links(&page("[a](../x.md#y) and [b](https://example.org)\n```text\n[c](d)\n```\n[e](f.md)\n"));
        assert_eq!(found, ["../x.md#y", "f.md"]);
        assert_eq!(resolved(Path::new("docs/how-to/page.md"), "../x.md"), Path::new("docs/x.md"));
    }

    #[test]
    fn headings_become_anchors() {
        assert_eq!(headings("# One\ntext\n## Add a route: `x`\n").collect::<Vec<_>>(), ["one", "add-a-route-x"]);
    }

    #[test]
    fn unchecked_blocks_are_reported() {
        let text = "```rust\n```\n```console\n```\n```toml\n```\n```text\n```\n```toml,file=target/x\n```\n";
        assert_eq!(code(&page(text), "", "").len(), 4);
        assert_eq!(code(&page(text), "\"how-to/page.md\"", "\"docs/how-to/page.md\"").len(), 1);
    }
}

//! Lengths of files and tests.

use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn};

use super::Finding;
use super::sources::Sources;

/// Maximum number of lines of a file.
const FILE: usize = 500;
/// Maximum number of lines of a test function.
const TEST: usize = 80;

pub(super) fn files(sources: &Sources) -> Finding {
    let mut lengths: Vec<usize> = sources.0.iter().map(|it| it.text.lines().count()).collect();
    let long = sources.0.iter().filter(|it| it.text.lines().count() > FILE);
    let wrong: Vec<String> =
        long.map(|it| format!("{}: {} lines; split it", it.path.display(), it.text.lines().count())).collect();
    lengths.sort_unstable();
    let (median, longest) = (lengths.get(lengths.len() / 2), lengths.last());
    let figure = format!(
        "{} (of {}, median {}, longest {})",
        wrong.len(),
        lengths.len(),
        median.copied().unwrap_or_default(),
        longest.copied().unwrap_or_default()
    );
    Finding { name: "files-over-500-lines", figure, wrong }
}

pub(super) fn tests(sources: &Sources) -> Finding {
    let mut wrong = Vec::new();
    let mut count = 0;
    for source in &sources.0 {
        let mut finder = Tests::default();
        finder.visit_file(&source.syntax);
        count += finder.0.len();
        let long = finder.0.into_iter().filter(|(_, lines)| *lines > TEST);
        wrong.extend(long.map(|(name, lines)| format!("{}: {name} has {lines} lines", source.path.display())));
    }
    Finding { name: "tests-over-80-lines", figure: format!("{} (of {count})", wrong.len()), wrong }
}

#[derive(Default)]
struct Tests(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if item.attrs.iter().any(is_test) {
            let lines = item.block.brace_token.span.close().end().line - item.sig.fn_token.span.start().line + 1;
            self.0.push((item.sig.ident.to_string(), lines));
        }
        visit::visit_item_fn(self, item);
    }
}

/// `#[test]`, `#[tokio::test]` and the like.
fn is_test(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|it| it.ident == "test")
}

//! The nodes of one document as they are written. Aliases stay aliases, so that a tree is no larger than its text; what they would
//! expand to is counted on the way, and refused before anything is built.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser};

use super::super::warnings::Warnings;
use super::kind::{Kind, check_collection_tag, scalar};
use super::scalar::Scalar;
use super::stream::Document;
use super::{Place, over_budget, refused, too_deep};
use crate::error::{Invalid, InvalidCode};
use crate::model::limits;

/// One node.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) kind: Kind<'a>,
    /// The line of the input.
    pub(super) line: usize,
    /// The index after the node and all that it contains.
    pub(super) end: usize,
}

/// What nodes hold when their aliases are expanded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) nodes: usize,
    /// Of all scalars.
    pub(super) bytes: usize,
    /// Levels of sequences and mappings.
    depth: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.depth = self.depth.max(other.depth);
    }
}

/// A sequence or a mapping that is not complete yet.
struct Open {
    at: usize,
    anchor: usize,
    is_mapping: bool,
    /// In a mapping: the next node is a key.
    is_key: bool,
    size: Size,
}

struct Reader<'a, 'b> {
    nodes: Vec<Node<'a>>,
    open: Vec<Open>,
    /// Anchored nodes by the parser's number, with their sizes; those that are not complete have none.
    anchors: HashMap<usize, (usize, Option<Size>)>,
    /// Of all documents so far.
    total: &'b mut Size,
    warnings: &'b mut Warnings,
}

/// Reads the nodes of a document of YAML; none if it is empty. `total` counts what the documents hold together.
pub(super) fn read<'a>(
    document: &Document<'a>,
    total: &mut Size,
    warnings: &mut Warnings,
) -> Result<Vec<Node<'a>>, Invalid> {
    let options = granit_parser::options! {
        emit_comments: false,
        disallow_directives: true,
        flow_nesting_limit: limits::DEPTH + 2,
        block_nesting_limit: limits::DEPTH + 2,
    };
    // The parser's lines begin with 1.
    let line = |line: usize| document.first_line + line.saturating_sub(1);
    let mut reader = Reader { nodes: Vec::new(), open: Vec::new(), anchors: HashMap::new(), total, warnings };
    let mut is_over = false;
    for event in Parser::new_from_str_with_options(document.text, options) {
        let (event, span) = event.map_err(|error| match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(),
            _ => {
                let at = error.marker();
                let message = format!("invalid YAML in column {}", at.col() + 1);
                refused(InvalidCode::YamlSyntax, &message, line(at.line()))
            }
        })?;
        let at = line(span.start.line());
        match event {
            Event::DocumentEnd => is_over = true,
            Event::Scalar(text, _, _, None) if is_over && text.is_empty() => {}
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) if is_over => {
                let message =
                    "Kubernetes' tools leave out what follows the end of a document (...) without a line ---; add it";
                return Err(refused(InvalidCode::YamlFeatureNotAllowed, message, at));
            }
            event => reader.event(event, at)?,
        }
    }
    Ok(reader.nodes)
}

impl<'a> Reader<'a, '_> {
    fn event(&mut self, event: Event<'a>, line: usize) -> Result<(), Invalid> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let place = Place { line, is_key: self.open.last().is_some_and(|it| it.is_key) };
                let kind = scalar(text, style, tag.as_deref(), place, self.warnings)?;
                let bytes = match &kind {
                    Kind::Scalar(_, text) => text.len(),
                    _ => 0,
                };
                let size = Size { nodes: 1, bytes, depth: 0 };
                self.anchor(anchor, self.nodes.len(), Some(size));
                self.push(kind, line);
                self.complete(size, size)
            }
            Event::Alias(anchor) => {
                // The parser refuses aliases of nothing.
                let Some((target, size)) = self.anchors.get(&anchor).copied() else {
                    return Err(refused(InvalidCode::YamlSyntax, "unknown alias", line));
                };
                let size =
                    size.ok_or_else(|| refused(InvalidCode::YamlRecursiveAlias, "an alias contains itself", line))?;
                if self.open.len() + size.depth > limits::DEPTH {
                    return Err(too_deep());
                }
                self.push(Kind::Alias(target), line);
                self.complete(size, size)
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "seq", line)?;
                self.open(Kind::Sequence, anchor, line)
            }
            Event::MappingStart(_, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "map", line)?;
                self.open(Kind::Mapping, anchor, line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn anchor(&mut self, anchor: usize, at: usize, size: Option<Size>) {
        // What has no anchor has the number 0.
        if anchor > 0 {
            self.anchors.insert(anchor, (at, size));
        }
    }

    fn push(&mut self, kind: Kind<'a>, line: usize) {
        let end = self.nodes.len() + 1;
        self.nodes.push(Node { kind, line, end });
    }

    fn open(&mut self, kind: Kind<'a>, anchor: usize, line: usize) -> Result<(), Invalid> {
        if self.open.last().is_some_and(|it| it.is_key) {
            let message = "a mapping or a list cannot be a key; is this an unrendered template?";
            return Err(refused(InvalidCode::YamlFeatureNotAllowed, message, line));
        }
        if self.open.len() == limits::DEPTH {
            return Err(too_deep());
        }
        let (at, is_mapping) = (self.nodes.len(), matches!(kind, Kind::Mapping));
        self.anchor(anchor, at, None);
        self.push(kind, line);
        let size = Size { nodes: 1, ..Size::default() };
        self.open.push(Open { at, anchor, is_mapping, is_key: is_mapping, size });
        self.count(size)
    }

    fn close(&mut self) -> Result<(), Invalid> {
        let Some(Open { at, anchor, mut size, .. }) = self.open.pop() else {
            return Ok(());
        };
        let end = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(at) {
            node.end = end;
        }
        size.depth += 1;
        self.anchor(anchor, at, Some(size));
        // Its nodes were counted one by one.
        self.complete(size, Size::default())
    }

    /// A node is complete: the one around it has `size` more, and all documents `more`.
    fn complete(&mut self, size: Size, more: Size) -> Result<(), Invalid> {
        if let Some(around) = self.open.last_mut() {
            around.size.add(size);
            around.is_key = around.is_mapping && !around.is_key;
        }
        self.count(more)
    }

    fn count(&mut self, more: Size) -> Result<(), Invalid> {
        self.total.add(more);
        if self.total.nodes > limits::YAML_NODES || self.total.bytes > limits::YAML_SCALAR_BYTES {
            return Err(over_budget());
        }
        Ok(())
    }
}

/// Whether a document holds nothing but null.
pub(super) fn is_null(nodes: &[Node<'_>]) -> bool {
    matches!(nodes.first(), None | Some(Node { kind: Kind::Scalar(Scalar::Null, _), .. }))
}

//! The nodes of one document. Aliases are not expanded, so a tree is no larger than its text; the size of the expansion
//! is counted during parsing and limited before anything is built.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, Span, StructureStyle};

use crate::error::{Invalid, InvalidCode};
use crate::manifest::warnings::Warnings;
use crate::manifest::yaml::kind::{Kind, check_collection_tag, scalar};
use crate::manifest::yaml::scalar::Scalar;
use crate::manifest::yaml::stream::Document;
use crate::manifest::yaml::{Place, dialect, over_budget, refused, too_deep};
use crate::model::limits;

/// One node.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) kind: Kind<'a>,
    /// The line of the input.
    pub(super) line: usize,
    /// The index after the node and everything that it contains.
    pub(super) end: usize,
}

/// The total size of all documents of an input. Only counters: documents over budget are refused before their values exist.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    /// What the input contains itself.
    written: Size,
    /// What its aliases add.
    aliased: Size,
}

impl Total {
    /// Adds what a document contains itself.
    pub(super) fn add(&mut self, nodes: usize, bytes: usize) -> Result<(), Invalid> {
        self.written.add(Size { nodes, bytes, depth: 0 });
        self.check_all()
    }

    fn add_alias(&mut self, size: Size) -> Result<(), Invalid> {
        self.aliased.add(size);
        self.check_all()
    }

    fn check_all(&self) -> Result<(), Invalid> {
        let nodes = self.written.nodes.saturating_add(self.aliased.nodes);
        let bytes = self.written.bytes.saturating_add(self.aliased.bytes);
        let is_over = nodes > limits::YAML_NODES || bytes > limits::YAML_SCALAR_BYTES;
        if is_over { Err(over_budget()) } else { Ok(()) }
    }

    /// Checks the aliases of the documents so far against what these contain themselves.
    fn check_aliases(&self) -> Result<(), Invalid> {
        let allowed =
            |always: usize, written: usize| always.saturating_add(written.saturating_mul(limits::YAML_ALIAS_FACTOR));
        let is_over = self.aliased.nodes > allowed(limits::YAML_ALIAS_NODES, self.written.nodes)
            || self.aliased.bytes > allowed(limits::YAML_ALIAS_BYTES, self.written.bytes);
        if is_over { Err(over_budget()) } else { Ok(()) }
    }
}

/// The size of nodes with their aliases expanded.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    /// The bytes of all scalars.
    bytes: usize,
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

/// An incomplete sequence or mapping.
struct Open {
    at: usize,
    anchor: usize,
    is_mapping: bool,
    in_flow: bool,
    /// Whether the next node is a key, in a mapping.
    is_key: bool,
    size: Size,
}

struct Reader<'a, 'b> {
    source: &'a str,
    nodes: Vec<Node<'a>>,
    open: Vec<Open>,
    /// Anchored nodes by the parser's number, with their sizes. Incomplete nodes have no size yet.
    anchors: HashMap<usize, (usize, Option<Size>)>,
    total: &'b mut Total,
    warnings: &'b mut Warnings,
}

/// Parses the nodes of a YAML document; none if it is empty. Adds the document's size to `total`.
pub(super) fn read<'a>(
    document: &Document<'a>,
    total: &mut Total,
    warnings: &mut Warnings,
) -> Result<Vec<Node<'a>>, Invalid> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        disallow_directives: true,
        flow_nesting_limit: limits::DEPTH + 2,
        block_nesting_limit: limits::DEPTH + 2,
    };
    // The parser counts lines from 1.
    let line = |line: usize| document.first_line + line.saturating_sub(1);
    let mut reader =
        Reader { source: document.text, nodes: Vec::new(), open: Vec::new(), anchors: HashMap::new(), total, warnings };
    let mut is_over = false;
    for event in Parser::new_from_str_with_options(document.text, options) {
        let (event, span) = event.map_err(|error| match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(),
            _ => {
                let at = error.marker();
                let message = if reader.is_complete() {
                    "kubectl ignores the text after this document; separate documents with a line ---".to_owned()
                } else {
                    format!("invalid YAML at column {}", at.col() + 1)
                };
                refused(InvalidCode::YamlSyntax, &message, line(at.line()))
            }
        })?;
        let at = line(span.start.line());
        match event {
            Event::DocumentEnd => is_over = true,
            Event::Scalar(text, _, _, None) if is_over && text.is_empty() => {}
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) if is_over => {
                let message = "kubectl ignores the text after the end of a document (...); begin the next document with a line ---";
                return Err(refused(InvalidCode::YamlFeatureNotAllowed, message, at));
            }
            event => reader.event(event, span, at)?,
        }
    }
    reader.total.check_aliases()?;
    Ok(reader.nodes)
}

impl<'a> Reader<'a, '_> {
    /// Whether the document's root node is complete.
    fn is_complete(&self) -> bool {
        self.open.is_empty() && !self.nodes.is_empty()
    }

    fn event(&mut self, event: Event<'a>, span: Span, line: usize) -> Result<(), Invalid> {
        match event {
            Event::Anchor(_, name) => dialect::check_anchor(&name, line),
            Event::Scalar(text, style, anchor, tag) => {
                let in_flow = self.open.last().is_some_and(|it| it.in_flow);
                dialect::check(&text, self.source, style, span, in_flow, line)?;
                let place = Place { line, is_key: self.open.last().is_some_and(|it| it.is_key) };
                let kind = scalar(text, style, tag.as_deref(), place, self.warnings)?;
                let bytes = match &kind {
                    Kind::Scalar(_, text) => text.len(),
                    _ => 0,
                };
                let size = Size { nodes: 1, bytes, depth: 0 };
                self.anchor(anchor, self.nodes.len(), Some(size));
                self.push(kind, line);
                self.complete(size);
                self.total.add(size.nodes, size.bytes)
            }
            Event::Alias(anchor) => {
                // The parser refuses unknown aliases before this.
                let Some((target, size)) = self.anchors.get(&anchor).copied() else {
                    return Err(refused(InvalidCode::YamlSyntax, "unknown alias", line));
                };
                let size =
                    size.ok_or_else(|| refused(InvalidCode::YamlRecursiveAlias, "an alias contains itself", line))?;
                if self.open.len() + size.depth > limits::DEPTH {
                    return Err(too_deep());
                }
                self.push(Kind::Alias(target), line);
                self.complete(size);
                self.total.add_alias(size)
            }
            Event::SequenceStart(style, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "seq", line)?;
                self.open(Kind::Sequence, style, anchor, line)
            }
            Event::MappingStart(style, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "map", line)?;
                self.open(Kind::Mapping, style, anchor, line)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn anchor(&mut self, anchor: usize, at: usize, size: Option<Size>) {
        // 0 means no anchor.
        if anchor > 0 {
            self.anchors.insert(anchor, (at, size));
        }
    }

    fn push(&mut self, kind: Kind<'a>, line: usize) {
        let end = self.nodes.len() + 1;
        self.nodes.push(Node { kind, line, end });
    }

    fn open(&mut self, kind: Kind<'a>, style: StructureStyle, anchor: usize, line: usize) -> Result<(), Invalid> {
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
        let in_flow = style == StructureStyle::Flow;
        self.open.push(Open { at, anchor, is_mapping, in_flow, is_key: is_mapping, size });
        self.total.add(size.nodes, size.bytes)
    }

    fn close(&mut self) {
        let Some(Open { at, anchor, mut size, .. }) = self.open.pop() else {
            return;
        };
        let end = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(at) {
            node.end = end;
        }
        size.depth += 1;
        self.anchor(anchor, at, Some(size));
        self.complete(size);
    }

    /// Adds a complete node to its parent, which then expects a key or a value.
    fn complete(&mut self, size: Size) {
        if let Some(around) = self.open.last_mut() {
            around.size.add(size);
            around.is_key = around.is_mapping && !around.is_key;
        }
    }
}

/// Whether the document contains only null.
pub(super) fn is_null(nodes: &[Node<'_>]) -> bool {
    matches!(nodes.first(), None | Some(Node { kind: Kind::Scalar(Scalar::Null, _), .. }))
}

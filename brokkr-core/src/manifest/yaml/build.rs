//! Conversion of nodes to a value. The tree has limited the nesting already.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::manifest::number::Kept;
use crate::manifest::warnings::Warnings;
use crate::manifest::yaml::kind::Kind;
use crate::manifest::yaml::refused;
use crate::manifest::yaml::scalar::Scalar;
use crate::manifest::yaml::tree::Node;

pub(super) struct Builder<'a> {
    pub(super) nodes: &'a [Node<'a>],
    pub(super) warnings: &'a mut Warnings,
}

impl<'a> Builder<'a> {
    /// Builds the value of a node.
    pub(super) fn value(&mut self, at: usize) -> Result<Value, Invalid> {
        let node = &self.nodes[at];
        match &node.kind {
            Kind::Alias(target) => self.value(*target),
            Kind::Merge => Ok("<<".into()),
            Kind::Sequence => self.children(at).into_iter().map(|child| self.value(child)).collect(),
            Kind::Mapping => self.mapping(at).map(Value::Object),
            Kind::Scalar(Scalar::Null, _) => Ok(Value::Null),
            Kind::Scalar(Scalar::Bool(value), _) => Ok(Value::Bool(*value)),
            Kind::Scalar(scalar, text) => match scalar.number() {
                None => Ok(Value::String(text.to_string())),
                Some(Kept::Exactly(number) | Kept::Rounded(number)) => Ok(Value::Number(number)),
                Some(Kept::Not) => {
                    let message = format!("cannot store the number {} without changing it; quote it", excerpt(text));
                    Err(refused(InvalidCode::NumberOutOfRange, &message, node.line))
                }
            },
        }
    }

    fn children(&self, of: usize) -> Vec<usize> {
        let (mut children, mut at) = (Vec::new(), of + 1);
        while at < self.nodes[of].end {
            children.push(at);
            at = self.nodes[at].end;
        }
        children
    }

    fn mapping(&mut self, at: usize) -> Result<Map<String, Value>, Invalid> {
        let (mut map, mut own) = (Map::new(), HashSet::new());
        let children = self.children(at);
        let merges = children.iter().any(|child| matches!(self.nodes[*child].kind, Kind::Merge));
        for entry in children.chunks_exact(2) {
            let &[key, value] = entry else { continue };
            let line = self.nodes[key].line;
            if matches!(self.nodes[key].kind, Kind::Merge) {
                for source in self.merged(value)? {
                    let Value::Object(source) = self.value(source)? else { continue };
                    self.merge(&mut map, source, &own, line);
                }
                continue;
            }
            let text = self.key(key)?;
            // A key may replace one that a merge inserted.
            let is_new = if merges { own.insert(text.clone()) } else { !map.contains_key(&text) };
            if !is_new {
                let message = format!("duplicate key {}", excerpt(&text));
                return Err(refused(InvalidCode::YamlDuplicateKey, &message, line));
            }
            let value = self.value(value)?;
            map.insert(text, value);
        }
        Ok(map)
    }

    fn key(&self, at: usize) -> Result<String, Invalid> {
        let node = &self.nodes[at];
        let mut kind = &node.kind;
        if let Kind::Alias(target) = kind {
            kind = &self.nodes[*target].kind;
        }
        let key = match kind {
            Kind::Scalar(scalar, text) => scalar.key(text),
            Kind::Merge => Some("<<".into()),
            Kind::Sequence | Kind::Mapping | Kind::Alias(_) => None,
        };
        key.map(Into::into).ok_or_else(|| {
            let message = "a key must be a string, a boolean or a 64-bit number; quote it";
            refused(InvalidCode::YamlFeatureNotAllowed, message, node.line)
        })
    }

    /// The mappings that a merge key copies, in source order.
    fn merged(&self, value: usize) -> Result<Vec<usize>, Invalid> {
        let is_mapping = |at: &usize| match &self.nodes[*at].kind {
            Kind::Mapping => true,
            Kind::Alias(target) => matches!(self.nodes[*target].kind, Kind::Mapping),
            _ => false,
        };
        // Earlier mappings take precedence.
        let sources = match self.nodes[value].kind {
            Kind::Sequence => self.children(value).into_iter().rev().collect(),
            _ => vec![value],
        };
        if !sources.iter().all(is_mapping) {
            let message = "the merge key << needs a mapping or a list of mappings";
            return Err(refused(InvalidCode::YamlFeatureNotAllowed, message, self.nodes[value].line));
        }
        Ok(sources)
    }

    fn merge(&mut self, map: &mut Map<String, Value>, source: Map<String, Value>, own: &HashSet<String>, line: usize) {
        for (key, value) in source {
            if own.contains(&key) && map.get(&key) != Some(&value) {
                let key = excerpt(&key);
                self.warnings.add(|| {
                    format!("line {line}: << replaces the value of the key {key}, which precedes it; put << first")
                });
            }
            map.insert(key, value);
        }
    }
}

//! Circular imports. To understand one file of a cycle, a reader needs all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::graph::{Graph, Module};
use super::sources::Sources;

/// Cycles between files.
pub(super) fn between_files(sources: &Sources) -> Finding {
    let mut wrong = Vec::new();
    for folder in sources.crates() {
        let graph = Graph::of(sources, folder);
        for circle in circles(&graph.uses) {
            wrong.push(format!("{}: {}", folder.display(), explain(&circle, &graph)));
        }
    }
    Finding { name: "circular-imports-between-files", figure: wrong.len().to_string(), wrong }
}

/// Cycles between the entries of one folder, at least one of them a folder.
pub(super) fn between_folders(sources: &Sources) -> Finding {
    let mut wrong = Vec::new();
    for folder in sources.crates() {
        let graph = Graph::of(sources, folder);
        let parents: BTreeSet<Module> =
            graph.files.keys().flat_map(|it| (0..it.len()).map(|end| it[..end].to_vec())).collect();
        for parent in &parents {
            let mut lifted: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
            for (from, targets) in &graph.uses {
                for to in targets {
                    if let (Some(a), Some(b)) = (child(parent, from), child(parent, to))
                        && a != b
                    {
                        lifted.entry(a).or_default().insert(b);
                    }
                }
            }
            for circle in circles(&lifted) {
                if circle.iter().any(|it| parents.contains(it)) {
                    wrong.push(format!("{}: {}", folder.display(), ties(&circle, &graph)));
                }
            }
        }
    }
    Finding { name: "circular-imports-between-folders", figure: wrong.len().to_string(), wrong }
}

/// The entry of a folder that contains a module; `None` for the folder's own file.
fn child(parent: &Module, module: &Module) -> Option<Module> {
    (module.len() > parent.len() && module.starts_with(parent)).then(|| module[..=parent.len()].to_vec())
}

fn name(module: &Module) -> String {
    module.join("::")
}

fn explain(circle: &BTreeSet<Module>, graph: &Graph) -> String {
    let uses = circle.iter().flat_map(|from| {
        let targets = graph.uses.get(from).into_iter().flatten().filter(|to| circle.contains(*to));
        targets.map(move |to| format!("{} -> {}", name(from), name(to)))
    });
    uses.collect::<Vec<_>>().join(", ")
}

fn ties(circle: &BTreeSet<Module>, graph: &Graph) -> String {
    let within = |module: &Module| circle.iter().find(|it| module.starts_with(it));
    let uses = graph.uses.iter().flat_map(|(from, targets)| {
        let crossing = targets.iter().filter(move |to| match (within(from), within(to)) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        });
        crossing.map(move |to| format!("{} -> {}", name(from), name(to)))
    });
    uses.collect::<Vec<_>>().join(", ")
}

/// Groups of more than one node that reach each other.
fn circles(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reach = |start: &Module| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&Module> = uses.get(start).into_iter().flatten().collect();
        while let Some(node) = open.pop() {
            if seen.insert(node.clone()) {
                open.extend(uses.get(node).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = uses.keys().map(|it| (it, reach(it))).collect();
    let mut circles: Vec<BTreeSet<Module>> = Vec::new();
    for (node, from_here) in &reached {
        if !from_here.contains(*node) || circles.iter().any(|it| it.contains(*node)) {
            continue;
        }
        let returns = |it: &&Module| reached.get(*it).is_some_and(|back| back.contains(*node));
        circles.push(from_here.iter().filter(returns).cloned().collect());
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut uses: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (from, to) in edges {
            uses.entry(vec![(*from).to_owned()]).or_default().insert(vec![(*to).to_owned()]);
        }
        uses
    }

    #[test]
    fn cycles_contain_nodes_that_reach_themselves() {
        let names = |edges: &[(&str, &str)]| {
            circles(&graph(edges)).iter().map(|it| it.iter().map(name).collect::<Vec<_>>().join("")).collect::<Vec<_>>()
        };
        assert!(names(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
        assert_eq!(names(&[("a", "b"), ("b", "a"), ("c", "a")]), ["ab"]);
        assert_eq!(names(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "e"), ("e", "d")]), ["abc", "de"]);
    }
}

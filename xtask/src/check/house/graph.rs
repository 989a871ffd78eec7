//! The import graph of one crate's files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use super::sources::{Source, Sources};

/// A module's path from the crate root; empty for the root itself.
pub(super) type Module = Vec<String>;

/// The modules of one crate that have their own file, with the imports between them.
pub(super) struct Graph {
    /// Each module's file, relative to the crate.
    pub(super) files: BTreeMap<Module, String>,
    pub(super) uses: BTreeMap<Module, BTreeSet<Module>>,
}

impl Graph {
    pub(super) fn of(sources: &Sources, folder: &Path) -> Self {
        let mut modules: BTreeMap<Module, &Source> = BTreeMap::new();
        let mut files = BTreeMap::new();
        for source in &sources.0 {
            let Ok(inner) = source.path.strip_prefix(folder) else { continue };
            let module = module_of(inner);
            files.insert(module.clone(), inner.display().to_string());
            modules.insert(module, source);
        }
        let exports: BTreeMap<(Module, String), Module> =
            modules.iter().flat_map(|(module, source)| exports(module, source, &files)).collect();
        let uses = modules
            .iter()
            .map(|(module, source)| {
                let mut finder = Finder { module, files: &files, exports: &exports, found: BTreeSet::new() };
                finder.visit_file(&source.syntax);
                (module.clone(), finder.found)
            })
            .collect();
        Self { files, uses }
    }
}

fn module_of(inner: &Path) -> Module {
    let mut module: Module =
        inner.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// The items that a module re-exports, with their origin.
fn exports(module: &Module, source: &Source, files: &BTreeMap<Module, String>) -> Vec<((Module, String), Module)> {
    let mut found = Vec::new();
    for item in &source.syntax.items {
        let Item::Use(it) = item else { continue };
        if matches!(it.vis, Visibility::Inherited) {
            continue;
        }
        for path in leaves(&it.tree) {
            let Some(absolute) = absolute(&path, module, files) else { continue };
            let (owner, rest) = split(&absolute, files);
            if let [name] = rest
                && owner != module.as_slice()
            {
                found.push(((module.clone(), name.clone()), owner.to_vec()));
            }
        }
    }
    found
}

/// Every path that a `use` names.
fn leaves(tree: &UseTree) -> Vec<Vec<String>> {
    let prefixed = |name: String, rest: Vec<Vec<String>>| {
        rest.into_iter().map(|path| [vec![name.clone()], path].concat()).collect::<Vec<_>>()
    };
    match tree {
        UseTree::Path(it) => prefixed(it.ident.to_string(), leaves(&it.tree)),
        UseTree::Name(it) if it.ident == "self" => vec![Vec::new()],
        UseTree::Name(it) => vec![vec![it.ident.to_string()]],
        UseTree::Rename(it) if it.ident == "self" => vec![Vec::new()],
        UseTree::Rename(it) => vec![vec![it.ident.to_string()]],
        UseTree::Glob(_) => vec![Vec::new()],
        UseTree::Group(it) => it.items.iter().flat_map(leaves).collect(),
    }
}

/// Resolves a path from the crate root; `None` for a path into another crate.
fn absolute(path: &[String], module: &Module, files: &BTreeMap<Module, String>) -> Option<Vec<String>> {
    let mut base = module.clone();
    let mut rest = path;
    match rest.first().map(String::as_str)? {
        "crate" => (base, rest) = (Module::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|it| it == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
        child => {
            let inner = [base.as_slice(), &[child.to_owned()]].concat();
            files.contains_key(&inner).then_some(())?;
        }
    }
    Some([base.as_slice(), rest].concat())
}

/// Splits a path into its module and the item inside.
fn split<'p>(path: &'p [String], files: &BTreeMap<Module, String>) -> (&'p [String], &'p [String]) {
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length])).unwrap_or(0);
    path.split_at(length)
}

struct Finder<'g> {
    module: &'g Module,
    files: &'g BTreeMap<Module, String>,
    exports: &'g BTreeMap<(Module, String), Module>,
    found: BTreeSet<Module>,
}

impl Finder<'_> {
    fn note(&mut self, path: &[String]) {
        let Some(path) = absolute(path, self.module, self.files) else { return };
        let (owner, rest) = split(&path, self.files);
        let mut owner = owner.to_vec();
        // A re-export counts as an import of the defining file.
        if let Some(name) = rest.first() {
            while let Some(from) = self.exports.get(&(owner.clone(), name.clone())) {
                owner.clone_from(from);
            }
        }
        // Every file of a folder may use the items of the folder's mod.rs.
        if !self.module.starts_with(&owner) {
            self.found.insert(owner);
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // A re-export is not an import.
        if matches!(item.vis, Visibility::Inherited) {
            leaves(&item.tree).iter().for_each(|path| self.note(path));
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }
}

/// Whether the attributes contain `cfg(test)`.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().is_ident("cfg") && it.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains("test"))
    })
}

//! Generated manifests with the structure of published install files.
//!
//! This repository cannot contain the files of real projects. The difficulty of such files is their shape: sizes, notations, kinds,
//! order, and the changes between releases. Each function generates one shape and documents which files it represents. All names,
//! namespaces and API groups derive from [`Names`], so that many files fit on one cluster.

mod definitions;
mod notations;
mod operator;
mod projects;

pub use definitions::{CaBundle, conversion_webhook, large_definition};
pub use notations::{
    anchors, byte_order_mark, comments, json, lists, number_keys, octal_modes, secrets, windows_line_ends,
};
pub use operator::{OPERATOR_OBJECTS, operator};
pub use projects::{api_service, new_group, release, wrong_order};

/// The names in a generated file.
#[derive(Debug, Clone)]
pub struct Names {
    /// A DNS label; the names of cluster-scoped objects begin with it.
    pub name: String,
    /// The namespace of namespaced objects. It must exist, unless the shape contains its Namespace.
    pub namespace: String,
}

impl Names {
    /// Names for a file `name` in the namespace of the same name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), namespace: name.to_owned() }
    }

    /// The API group of the file's own kinds.
    pub fn group(&self) -> String {
        format!("{}.shapes.example.com", self.name)
    }

    /// Replaces the placeholders of a template.
    fn fill(&self, template: &str) -> String {
        template
            .replace("__group__", &self.group())
            .replace("__namespace__", &self.namespace)
            .replace("__name__", &self.name)
    }
}

/// One of two releases of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The older release.
    First,
    /// The newer release.
    Second,
}

impl Release {
    /// Returns `first` for the older release, `second` for the newer one.
    fn pick<T>(self, first: T, second: T) -> T {
        match self {
            Self::First => first,
            Self::Second => second,
        }
    }
}

/// A generated file with its expected properties.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The name of the shape.
    pub name: &'static str,
    /// The published files that it represents.
    pub stands_for: &'static str,
    /// The content of the file.
    pub text: String,
    /// The file of the project's next release, for shapes with two releases.
    pub next: Option<String>,
    /// Number of objects in `text`.
    pub objects: usize,
    /// The namespace of its objects.
    pub namespace: String,
    /// Whether `text` contains that Namespace.
    pub has_namespace: bool,
    /// Whether the next release changes immutable fields, so that the agent must replace objects.
    pub replaces: bool,
}

impl Shape {
    fn with_namespace(mut self) -> Self {
        self.has_namespace = true;
        self
    }

    fn followed_by(mut self, next: String) -> Self {
        self.next = Some(next);
        self
    }

    fn replacing(mut self) -> Self {
        self.replaces = true;
        self
    }
}

/// All shapes, each with its own names. The names begin with `prefix`, a DNS label of at most 20 characters.
pub fn all(prefix: &str) -> Vec<Shape> {
    use Release::{First, Second};
    let at = |name: &str| Names::new(&format!("{prefix}-{name}"));
    let shape = |name: &'static str, stands_for, objects, make: &dyn Fn(&Names) -> String| {
        let (text, namespace) = (make(&at(name)), at(name).namespace);
        Shape { name, stands_for, text, next: None, objects, namespace, has_namespace: false, replaces: false }
    };
    vec![
        shape(
            "large-definition",
            "bundles of definitions whose schemas embed a pod template: 1 MB for one kind",
            1,
            &|at| large_definition(at, 5),
        ),
        shape(
            "conversion-webhook",
            "definitions whose versions are converted by a service that another file installs",
            2,
            &|at| conversion_webhook(at, CaBundle::Absent),
        ),
        shape(
            "operator",
            "the one-file install of an operator: everything from Namespace to webhooks",
            OPERATOR_OBJECTS,
            &|at| operator(at, First),
        )
        .with_namespace()
        .followed_by(operator(&at("operator"), Second)),
        shape("octal-modes", "node agents and servers that write file modes as chmod does", 4, &octal_modes),
        shape("lists", "exports of a cluster and generated dashboards: lists of kinds", 9, &lists),
        shape("comments", "files rendered by a template engine: licences, sources, empty documents", 4, &comments),
        shape("anchors", "hand-written files that do not repeat themselves", 4, &anchors),
        shape("number-keys", "ingress controllers whose ConfigMaps map ports to services", 3, &number_keys),
        shape("windows-line-ends", "files that were saved on Windows", 3, &windows_line_ends),
        shape("byte-order-mark", "files that an editor marked, concatenated", 2, &byte_order_mark),
        shape("json", "output of generators that write JSON", 3, &json),
        shape("secrets", "servers that bring default credentials as text", 5, &secrets),
        shape("wrong-order", "files sorted by name: what needs something comes before it", 9, &wrong_order)
            .with_namespace(),
        shape("release", "a server with its database: immutable fields, renames, versions", 11, &|at| {
            release(at, First)
        })
        .followed_by(release(&at("release"), Second))
        .replacing(),
        shape("new-group", "a project that moves its kinds to another API group", 6, &|at| new_group(at, First))
            .followed_by(new_group(&at("new-group"), Second)),
    ]
}

/// Joins documents into one YAML stream.
fn stream<T: AsRef<str>>(documents: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        text.push_str(document.as_ref().trim_start_matches('\n'));
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

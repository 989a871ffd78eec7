//! Notations that YAML readers are known to differ about.

use super::Names;

/// File modes as `chmod` writes them: `defaultMode: 0640`, `mode: 0400`, `0o440`.
///
/// Stands for node agents, proxies and policy engines, whose volumes of ConfigMaps, Secrets and the downward API have modes.
pub fn octal_modes(at: &Names) -> String {
    at.fill(include_str!("octal-modes.yaml"))
}

/// A `v1` List of different kinds, and lists of one kind whose items do not repeat it.
///
/// Stands for `kubectl get -o yaml` and for generators of dashboards.
pub fn lists(at: &Names) -> String {
    at.fill(include_str!("lists.yaml"))
}

/// Comments at every place where YAML allows one, documents of comments alone, document ends, block scalars of all styles.
///
/// Stands for what template engines render.
pub fn comments(at: &Names) -> String {
    at.fill(include_str!("comments.yaml"))
}

/// Anchors, aliases and merge keys, a merge of several among them, and a key that is an alias.
///
/// Stands for hand-written files.
pub fn anchors(at: &Names) -> String {
    at.fill(include_str!("anchors.yaml"))
}

/// Keys that look like numbers, booleans and times where a map of texts is meant.
///
/// Stands for ingress controllers and mail servers, whose ConfigMaps map ports to services.
pub fn number_keys(at: &Names) -> String {
    at.fill(include_str!("number-keys.yaml"))
}

/// Lines that end as on Windows, block scalars among them.
pub fn windows_line_ends(at: &Names) -> String {
    at.fill(include_str!("windows.yaml")).replace('\n', "\r\n")
}

/// A byte-order mark before each document.
///
/// Stands for files that an editor marked, one behind the other.
pub fn byte_order_mark(at: &Names) -> String {
    let map = |name: &str| {
        at.fill("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: __map__\n  namespace: __namespace__\ndata:\n  text: größer\n")
            .replace("__map__", name)
    };
    format!("\u{feff}{}---\n\u{feff}{}", map("first"), map("second"))
}

/// One List as indented JSON.
///
/// Stands for the output of generators.
pub fn json(at: &Names) -> String {
    at.fill(include_str!("list.json"))
}

/// Secrets in the ways to write one: text, base64 in lines, both, special types.
///
/// Stands for servers that bring default credentials.
pub fn secrets(at: &Names) -> String {
    at.fill(include_str!("secrets.yaml"))
}

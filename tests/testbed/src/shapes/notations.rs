//! Notations that YAML readers interpret differently.

use super::Names;

/// File modes as `chmod` writes them: `defaultMode: 0640`, `mode: 0400`, `0o440`.
///
/// Represents node agents, proxies and policy engines, whose volumes of ConfigMaps, Secrets and the downward API have modes.
pub fn octal_modes(at: &Names) -> String {
    at.fill(include_str!("octal-modes.yaml"))
}

/// A `v1` List of different kinds, and lists of one kind whose items do not repeat it.
///
/// Represents the output of `kubectl get -o yaml` and of dashboard generators.
pub fn lists(at: &Names) -> String {
    at.fill(include_str!("lists.yaml"))
}

/// Comments at every place where YAML allows one, documents of comments alone, document ends, block scalars of all styles.
///
/// Represents the output of template engines.
pub fn comments(at: &Names) -> String {
    at.fill(include_str!("comments.yaml"))
}

/// Anchors, aliases and merge keys, a merge of several among them, and a key that is an alias.
///
/// Represents hand-written files.
pub fn anchors(at: &Names) -> String {
    at.fill(include_str!("anchors.yaml"))
}

/// Keys that look like numbers, booleans and times in a map of strings.
///
/// Represents ingress controllers and mail servers, whose ConfigMaps map ports to services.
pub fn number_keys(at: &Names) -> String {
    at.fill(include_str!("number-keys.yaml"))
}

/// Windows line ends, also in block scalars.
pub fn windows_line_ends(at: &Names) -> String {
    at.fill(include_str!("windows.yaml")).replace('\n', "\r\n")
}

/// A byte-order mark before each document.
///
/// Represents concatenated files from an editor that writes byte-order marks.
pub fn byte_order_mark(at: &Names) -> String {
    let map = |name: &str| {
        at.fill("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: __map__\n  namespace: __namespace__\ndata:\n  text: größer\n")
            .replace("__map__", name)
    };
    format!("\u{feff}{}---\n\u{feff}{}", map("first"), map("second"))
}

/// One List as indented JSON.
///
/// Represents the output of generators.
pub fn json(at: &Names) -> String {
    at.fill(include_str!("list.json"))
}

/// Secrets in every notation: `stringData`, wrapped base64, both, special types.
///
/// Represents servers with default credentials.
pub fn secrets(at: &Names) -> String {
    at.fill(include_str!("secrets.yaml"))
}

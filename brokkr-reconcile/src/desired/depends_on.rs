//! Dependencies between objects: the annotation `config.kubernetes.io/depends-on`, as defined by cli-utils.
//!
//! See <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/object/dependson/doc.go>: comma-separated
//! references, each `<group>/namespaces/<namespace>/<kind>/<name>` or `<group>/<kind>/<name>`.

use brokkr_core::error::excerpt;
use brokkr_core::model::ObjectRef;

/// Annotation with the objects of the stack that must be healthy before the agent writes the annotated object.
/// Comma-separated `<group>/namespaces/<namespace>/<kind>/<name>` or `<group>/<kind>/<name>`; at most 100.
pub const DEPENDS_ON_ANNOTATION: &str = "config.kubernetes.io/depends-on";
/// Maximum number of references per object.
const REFERENCES: usize = 100;

/// Parses the annotation's value. The error describes the invalid part.
pub(crate) fn parse(text: &str) -> Result<Vec<ObjectRef>, String> {
    let references: Vec<&str> = text.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    if references.len() > REFERENCES {
        return Err(format!("{DEPENDS_ON_ANNOTATION} names more than {REFERENCES} objects"));
    }
    references.into_iter().map(reference).collect()
}

/// Returns how to correct the annotation of an object in a namespace.
pub(crate) fn remedy(namespace: Option<&str>) -> String {
    let namespace = namespace.unwrap_or("default");
    format!(
        "write for example apps/namespaces/{namespace}/Deployment/NAME, /namespaces/{namespace}/ConfigMap/NAME for the \
         core group, or rbac.authorization.k8s.io/ClusterRole/NAME for an object without namespace"
    )
}

fn reference(text: &str) -> Result<ObjectRef, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (group, namespace, kind, name) = match parts.as_slice() {
        [group, "namespaces", namespace, kind, name] => (*group, Some(*namespace), *kind, *name),
        [group, kind, name] => (*group, None, *kind, *name),
        _ => {
            return Err(format!(
                "cannot read the reference \"{}\" in the annotation {DEPENDS_ON_ANNOTATION}",
                excerpt(text)
            ));
        }
    };
    if kind.is_empty() || name.is_empty() || namespace.is_some_and(str::is_empty) {
        return Err(format!(
            "the reference \"{}\" in the annotation {DEPENDS_ON_ANNOTATION} has an empty part",
            excerpt(text)
        ));
    }
    let namespace = namespace.map(str::to_owned);
    Ok(ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_annotation_is_parsed() {
        let read = parse(
            "/namespaces/db/ConfigMap/a, apps/namespaces/db/Deployment/b ,rbac.authorization.k8s.io/ClusterRole/c,",
        )
        .expect("references");
        let texts: Vec<_> =
            read.iter().map(|it| (it.group.as_str(), it.namespace.as_deref(), it.name.as_str())).collect();
        let expected = [("", Some("db"), "a"), ("apps", Some("db"), "b"), ("rbac.authorization.k8s.io", None, "c")];
        assert_eq!(texts, expected);
        for invalid in ["x", "a/b", "apps//x", "/namespaces//ConfigMap/a", "a/namespaces/b/c/d/e"] {
            assert!(parse(invalid).is_err(), "{invalid}");
        }
    }
}

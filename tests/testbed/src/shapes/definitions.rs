//! Custom resource definitions.

use std::fmt::Write as _;

use super::Names;

/// Size of each version's schema, in bytes. Five versions make a file of about one megabyte.
const VERSION_BYTES: usize = 196_000;
const WORDS: [&str; 12] = [
    "Names the container that runs beside the workload.",
    "Defaults to the value of the parent; an empty value keeps what is there.",
    "Cannot be updated while the resource is in use.",
    "More info: https://docs.example.com/reference#fields",
    "The controller retries with a growing delay when the target does not answer.",
    "Only one of its members may be specified.",
    "This is a beta field and requires a feature gate.",
    "Values are compared after whitespace is trimmed: \"a\" and 'a' are the same.",
    "If unspecified, the scheduler chooses: at most one pod per node.",
    "Percentages are rounded up, as in 25%; integers are taken as they are.",
    "See RFC 3339 for the format of times.",
    "Keys follow the syntax of labels, e.g. `app.example.com/part-of`.",
];

/// The definition of one kind in `versions` versions of about 200 kB each.
///
/// Represents definitions that embed pod templates in every version (monitoring, serving and workflow operators): nearly all of
/// it is descriptions, too large for the annotation of `kubectl apply`. One version is deprecated, one is no longer served.
pub fn large_definition(at: &Names, versions: usize) -> String {
    let mut text = at.fill(
        r#"---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.20.1
  name: engines.__group__
spec:
  group: __group__
  names:
    categories:
    - all
    kind: Engine
    listKind: EngineList
    plural: engines
    shortNames:
    - eng
    singular: engine
  scope: Namespaced
  versions:
"#,
    );
    for number in 0..versions {
        version(&mut text, number, versions);
    }
    text
}

/// The versions v1alpha1, v1alpha2, … and finally v1, the stored one.
fn version(text: &mut String, number: usize, versions: usize) {
    let is_last = number + 1 == versions;
    let name = if is_last { "v1".to_owned() } else { format!("v1alpha{}", number + 1) };
    // The oldest of several versions is no longer served; the next one is deprecated.
    let is_served = number != 0 || is_last;
    let _ = write!(
        text,
        r#"  - name: {name}
    served: {is_served}
    storage: {is_last}
    deprecated: {}
    additionalPrinterColumns:
    - jsonPath: .spec.replicas
      name: Replicas
      type: integer
    - jsonPath: .metadata.creationTimestamp
      name: Age
      type: date
    subresources:
      status: {{}}
      scale:
        specReplicasPath: .spec.replicas
        statusReplicasPath: .status.replicas
    schema:
      openAPIV3Schema:
        description: Engine is the Schema for the engines API
        type: object
        required:
        - spec
        properties:
          apiVersion:
            type: string
          kind:
            type: string
          metadata:
            type: object
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
          spec:
            description: EngineSpec defines the desired state of Engine
            type: object
            x-kubernetes-validations:
            - message: minReplicas must not exceed replicas
              rule: '!has(self.minReplicas) || !has(self.replicas) || self.minReplicas <= self.replicas'
            properties:
              replicas:
                type: integer
                format: int32
                minimum: 0
                maximum: 1e3
              minReplicas:
                type: integer
                format: int32
"#,
        number == 1 && !is_last,
    );
    let begin = text.len();
    let mut block = 0;
    while text.len() - begin < VERSION_BYTES {
        container(text, number, block);
        block += 1;
    }
}

/// A list of objects with the field types that such schemas have.
fn container(text: &mut String, version: usize, block: usize) {
    let _ = write!(
        text,
        r#"              block{block}:
                type: array
                maxItems: 64
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys:
                - name
                items:
                  type: object
                  required: [name]
                  properties:
                    name:
                      type: string
                      maxLength: 63
                      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'
                    port:
                      anyOf:
                      - type: integer
                      - type: string
                      x-kubernetes-int-or-string: true
                    policy:
                      type: string
                      default: IfNotPresent
                      enum:
                      - Always
                      - Never
                      - IfNotPresent
                    limits:
                      type: object
                      additionalProperties:
                        anyOf:
                        - type: integer
                        - type: string
                        pattern: ^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$
                        x-kubernetes-int-or-string: true
"#
    );
    for field in 0..24 {
        let _ = writeln!(text, "                    field{field}:");
        let _ = writeln!(text, "                      description: |-");
        for line in 0..9 {
            let words = WORDS[(version + 3 * block + 5 * field + 7 * line) % WORDS.len()];
            let _ = writeln!(text, "                        {words}");
        }
        let kind = ["string", "boolean", "integer", "number"][field % 4];
        let _ = writeln!(text, "                      type: {kind}");
    }
}

/// The `caBundle` of a conversion webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaBundle {
    /// Absent: an injector sets it later.
    Absent,
    /// The base64 of a line end, as generators write it for an injector. Not a certificate.
    Placeholder,
    /// The base64 of plain text. Not a certificate.
    Broken,
    /// PEM markers around invalid content.
    Truncated,
}

/// The definition of a kind in two versions with a conversion webhook whose service does not exist, and one object of the stored version.
///
/// Represents projects that changed their schema. The service belongs to the operator and does not exist yet, and
/// an injector sets the `caBundle`. The API server serves the kind if the bundle is absent or valid, and never serves it otherwise.
pub fn conversion_webhook(at: &Names, bundle: CaBundle) -> String {
    let bundle = match bundle {
        CaBundle::Absent => String::new(),
        CaBundle::Placeholder => "        caBundle: Cg==\n".to_owned(),
        CaBundle::Broken => "        caBundle: bm90IGEgY2VydGlmaWNhdGUgYXQgYWxsCg==\n".to_owned(),
        CaBundle::Truncated => {
            "        caBundle: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=\n"
                .to_owned()
        }
    };
    let definition = at.fill(
        r#"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: tunnels.__group__
  annotations:
    cert-manager.io/inject-ca-from: __namespace__/serving-cert
spec:
  conversion:
    strategy: Webhook
    webhook:
      clientConfig:
__bundle__        service:
          name: __name__-webhook
          namespace: __namespace__
          path: /convert
          port: 443
      conversionReviewVersions:
      - v1
  group: __group__
  names: {kind: Tunnel, listKind: TunnelList, plural: tunnels, singular: tunnel}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              endpoints: {type: array, items: {type: string}}
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    deprecationWarning: __group__/v1beta1 Tunnel is deprecated; use v1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              endpoint: {type: string}
"#,
    );
    let object = at.fill(
        r#"apiVersion: __group__/v1
kind: Tunnel
metadata:
  name: default
  namespace: __namespace__
spec:
  endpoints:
  - 192.0.2.1:51820
"#,
    );
    super::stream([definition.replace("__bundle__", &bundle), object])
}

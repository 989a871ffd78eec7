//! Missing kinds, wrong definitions, and missing dependencies.

use super::Unlucky;

pub(super) fn all() -> Vec<Unlucky> {
    vec![
        Unlucky::new("missing-namespace", "create the namespace, or put it into the stack", "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: not-there}
"),
        Unlucky::new("missing-kind", "install the definition", "
apiVersion: certificates.example.com/v1
kind: Certificate
metadata: {name: web, namespace: __namespace__}
spec: {host: www.example.com}
"),
        Unlucky::new("removed-version", "write policy/v1", "
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: web, namespace: __namespace__}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
"),
        Unlucky::new("removed-group", "write networking.k8s.io/v1", "
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: web, namespace: __namespace__}
spec: {backend: {serviceName: web, servicePort: 80}}
"),
        Unlucky::new("definition-without-schema", "add a structural schema", "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pumps.__name__.example.com}
spec:
  group: __name__.example.com
  scope: Namespaced
  names: {kind: Pump, plural: pumps}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {properties: {spec: {properties: {n: {type: int}}}}}}}]
"),
        Unlucky::new("definition-names-taken", "take another kind, or remove the other definition", "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: newpumps.__name__.example.com}
spec:
  group: __name__.example.com
  scope: Namespaced
  names: {kind: Pump, plural: newpumps}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
").setup("
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pumps.__name__.example.com}
spec:
  group: __name__.example.com
  scope: Namespaced
  names: {kind: Pump, plural: pumps}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"),
        Unlucky::new("definition-broken-certificate", "correct the caBundle", "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pumps.__name__.example.com}
spec:
  group: __name__.example.com
  scope: Namespaced
  names: {kind: Pump, plural: pumps}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {caBundle: Tk8gQ0VSVElGSUNBVEU=, service: {name: convert, namespace: __namespace__}}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"),
        Unlucky::new("resource-invalid", "correct the value", "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pumps.__name__.example.com}
spec:
  group: __name__.example.com
  scope: Namespaced
  names: {kind: Pump, plural: pumps}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, required: [speed], properties: {speed: {type: integer, maximum: 9}, mode: {type: string, enum: [on, off]}}}}}}}]
---
apiVersion: __name__.example.com/v1
kind: Pump
metadata: {name: main, namespace: __namespace__}
spec: {speed: 11, mode: fast}
"),
        Unlucky::new("dependency-cycle", "break the circle", "
apiVersion: v1
kind: ConfigMap
metadata: {name: egg, namespace: __namespace__, annotations: {config.kubernetes.io/depends-on: /namespaces/__namespace__/ConfigMap/hen}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: hen, namespace: __namespace__, annotations: {config.kubernetes.io/depends-on: /namespaces/__namespace__/ConfigMap/egg}}
"),
        Unlucky::new("dependency-elsewhere", "put it into this stack, or drop the annotation", "
apiVersion: v1
kind: ConfigMap
metadata: {name: late, namespace: __namespace__, annotations: {config.kubernetes.io/depends-on: apps/namespaces/__namespace__/Deployment/database}}
"),
        Unlucky::new("dependency-unreadable", "correct the annotation", "
apiVersion: v1
kind: ConfigMap
metadata: {name: late, namespace: __namespace__, annotations: {config.kubernetes.io/depends-on: Deployment database}}
"),
        Unlucky::new("missing-ingress-class", "see that the class is not there", "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: __namespace__}
spec: {ingressClassName: fancy, rules: [{host: www.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
"),
        Unlucky::new("missing-role", "create the role", "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: __namespace__}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: not-there}
subjects: [{kind: ServiceAccount, name: not-there, namespace: __namespace__}]
"),
        Unlucky::new("too-large", "split it", ""),
    ]
}

/// Manifests that make discovery incomplete.
pub(super) fn on_another_cluster() -> Vec<Unlucky> {
    vec![Unlucky::new(
        "metrics",
        "install or repair the server behind the APIService",
        "
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.metrics.example.com}
spec:
  group: metrics.example.com
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-server, namespace: __namespace__}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: beside, namespace: __namespace__}
",
    )]
}

/// For an agent that may touch ConfigMaps only.
pub(super) fn limited() -> Vec<Unlucky> {
    vec![Unlucky::new(
        "forbidden-kind",
        "allow the agent the kind, or take another agent",
        "
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: __namespace__}
stringData: {password: none}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: __namespace__}
",
    )]
}

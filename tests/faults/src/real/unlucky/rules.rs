//! Refusals of the API server: by its own rules, by policies and webhooks, and because of existing objects.

use super::{Then, Unlucky};

const MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: __namespace__, labels: {hooked: 'yes'}}
data: {level: debug}
";
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
";

pub(super) fn all() -> Vec<Unlucky> {
    vec![
        Unlucky::new("invalid-name", "correct the name", "
apiVersion: v1
kind: ConfigMap
metadata: {name: My_Settings, namespace: __namespace__}
"),
        Unlucky::new("invalid-label", "correct the label", "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: __namespace__, labels: {team: 'a team with blanks'}}
"),
        Unlucky::new("invalid-port", "correct the port", "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: __namespace__}
spec: {selector: {app: web}, ports: [{port: 70000}]}
"),
        Unlucky::new("invalid-host", "correct the host", "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: __namespace__}
spec: {rules: [{host: 'https://www.example.com', http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
"),
        Unlucky::new("unknown-field", "correct the field's name", "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: __namespace__}
spec:
  replica: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
"),
        Unlucky::new("wrong-type", "write a number", "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: __namespace__}
spec:
  replicas: three
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
"),
        Unlucky::new("number-in-texts", "quote the number", "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: __namespace__}
data: {ratio: 0.5, port: 8080}
"),
        Unlucky::new("env-twice", "remove one of the two", "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1', env: [{name: LEVEL, value: a}, {name: LEVEL, value: b}]}]}
"),
        Unlucky::new("port-twice", "remove one of the two", "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: __namespace__}
spec: {selector: {app: web}, ports: [{name: a, port: 80}, {name: b, port: 80}]}
"),
        Unlucky::new("selector-differs", "make selector and labels agree", "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: website}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
"),
        Unlucky::new("immutable-cluster-ip", "keep the address, or use replace_immutable", "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: __namespace__}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
").before("
apiVersion: v1
kind: Service
metadata: {name: web, namespace: __namespace__}
spec: {selector: {app: web}, ports: [{port: 80}]}
"),
        Unlucky::new("immutable-selector", "keep the selector, rename it, or use replace_immutable", "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: web, tier: front}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
").before(DEPLOYMENT),
        Unlucky::new("immutable-job", "rename the Job, or use replace_immutable", "
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: __namespace__}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'registry.example.com/a:2'}]}}}
").before("
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: __namespace__}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'registry.example.com/a:1'}]}}}
"),
        Unlucky::new("immutable-set", "keep the serviceName, or use replace_immutable", "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: database, namespace: __namespace__}
spec:
  serviceName: other
  selector: {matchLabels: {app: database}}
  template: {metadata: {labels: {app: database}}, spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}}
").before("
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: database, namespace: __namespace__}
spec:
  serviceName: database
  selector: {matchLabels: {app: database}}
  template: {metadata: {labels: {app: database}}, spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}}
"),
        Unlucky::new("immutable-claim", "keep the class: data is not replaced", "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: __namespace__}
spec: {accessModes: [ReadWriteOnce], storageClassName: two, resources: {requests: {storage: 1Gi}}}
").before("
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: __namespace__}
spec: {accessModes: [ReadWriteOnce], storageClassName: one, resources: {requests: {storage: 1Gi}}}
").policies(r#"{"replace_immutable": true}"#),
        Unlucky::new("quota-exceeded", "raise the quota, or drop some", "
apiVersion: v1
kind: ConfigMap
metadata: {name: one-more, namespace: __namespace__}
").setup("
apiVersion: v1
kind: ResourceQuota
metadata: {name: maps, namespace: __namespace__}
spec: {hard: {count/configmaps: 0}}
"),
        Unlucky::new("webhook-denies", "do what the webhook says", MAP).setup("
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: __namespace__}
webhooks:
- name: images.policy.example.com
  clientConfig: {url: __denying_url__, caBundle: __denying_authority__}
  rules: [{operations: [CREATE, UPDATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]
  sideEffects: None
  admissionReviewVersions: [v1]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: __namespace__}}
  objectSelector: {matchLabels: {hooked: 'yes'}}
"),
        Unlucky::new("webhook-slow", "find out why the webhook does not answer", MAP).setup("
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: __namespace__}
webhooks:
- name: slow.policy.example.com
  clientConfig: {url: __silent_url__, caBundle: __silent_authority__}
  rules: [{operations: [CREATE, UPDATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]
  sideEffects: None
  timeoutSeconds: 3
  admissionReviewVersions: [v1]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: __namespace__}}
  objectSelector: {matchLabels: {hooked: 'yes'}}
"),
        Unlucky::new("webhook-absent", "install or remove the webhook", MAP).setup("
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: __namespace__}
webhooks:
- name: absent.policy.example.com
  clientConfig: {url: 'https://127.0.0.1:9/'}
  rules: [{operations: [CREATE, UPDATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]
  sideEffects: None
  timeoutSeconds: 3
  admissionReviewVersions: [v1]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: __namespace__}}
  objectSelector: {matchLabels: {hooked: 'yes'}}
"),
        Unlucky::new("webhook-of-deletions-absent", "install or remove the webhook", MAP)
            .before(MAP)
            .then(Then::Remove)
            .setup("
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: __namespace__}
webhooks:
- name: deletions.policy.example.com
  clientConfig: {url: 'https://127.0.0.1:9/'}
  rules: [{operations: [DELETE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]
  sideEffects: None
  timeoutSeconds: 3
  admissionReviewVersions: [v1]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: __namespace__}}
  objectSelector: {matchLabels: {hooked: 'yes'}}
"),
        Unlucky::new("policy-denies", "do what the policy says", DEPLOYMENT).setup("
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: __namespace__}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: __namespace__}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  validations: [{expression: 'has(object.metadata.labels) && \"team\" in object.metadata.labels', message: every Deployment needs the label team}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: __namespace__}
spec: {policyName: __namespace__, validationActions: [Deny]}
"),
        Unlucky::new("conflict", "drop the field, let the colleague drop it, or use conflicts: force", MAP)
            .before("
apiVersion: v1
kind: ConfigMap
metadata: {name: other, namespace: __namespace__}
")
            .setup("
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: __namespace__}
data: {level: info}
")
            .policies(r#"{"adopt": "always"}"#),
        Unlucky::new("exists-already", "delete it, rename, or use adopt", MAP).setup("
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: __namespace__}
data: {level: info}
"),
        Unlucky::new("of-another-stack", "drop it from one of the two", "
apiVersion: v1
kind: ConfigMap
metadata: {name: shared, namespace: unlucky-holder}
data: {level: two}
"),
        Unlucky::new("node-port-taken", "take another port", "
apiVersion: v1
kind: Service
metadata: {name: second, namespace: __namespace__}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 31234}]}
").setup("
apiVersion: v1
kind: Service
metadata: {name: first, namespace: __namespace__}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 31234}]}
"),
        Unlucky::new("namespace-terminating", "wait for what holds the namespace, or remove it", "
apiVersion: v1
kind: ConfigMap
metadata: {name: late, namespace: __namespace__}
")
        .before("
apiVersion: v1
kind: ConfigMap
metadata: {name: early, namespace: __namespace__}
")
        .setup("
apiVersion: v1
kind: ConfigMap
metadata: {name: held, namespace: __namespace__}
")
        .then(Then::NamespaceGoes),
        Unlucky::new("finalizer-stuck", "find the controller of the finalizer, or remove it", "
apiVersion: v1
kind: ConfigMap
metadata: {name: held, namespace: __namespace__, finalizers: [backup.example.com/done]}
").then(Then::Remove),
    ]
}

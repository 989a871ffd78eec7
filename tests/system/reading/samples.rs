//! Small versions of published files, which the generators modify.

/// Samples of one or more documents.
pub(super) const SAMPLES: [&str; 7] = [DEPLOYMENT, CONFIGURATION, DEFINITION, RIGHTS, LIST, TEMPLATED, JSON];

const DEPLOYMENT: &str = r#"# A workload with what such files are fond of.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: gateway
  namespace: edge-system
  labels: {app.kubernetes.io/name: gateway, tier: "front"}
  annotations:
    prometheus.io/scrape: 'true'
    prometheus.io/port: "9102"
    description: >-
      Terminates TLS, and
      hands on what it may.
spec:
  replicas: 3
  selector:
    matchLabels: &labels
      app.kubernetes.io/name: gateway
  template:
    metadata:
      labels: *labels
      creationTimestamp: null
    spec:
      containers:
      - name: gateway
        image: registry.example.com:5000/edge/gateway:v1.10
        args: ["--listen=:8443", --verbose, "-c", 'echo "$(date)" # not a comment']
        command:
          - /bin/sh
          - -c
          - |
            set -e
            if [ -n "$DEBUG" ]; then
              echo "debug: yes"
            fi

            exec gateway
        ports:
        - {containerPort: 8443, name: https, protocol: TCP}
        - containerPort: 0x50
        resources: {limits: {cpu: 500m, memory: 1Gi}, requests: {cpu: 0.1, memory: 64Mi}}
        livenessProbe:
          httpGet: {path: /healthz?full=1&x=y, port: https}
          initialDelaySeconds: 1_0
        securityContext:
          readOnlyRootFilesystem: yes
          runAsUser: 065532
        volumeMounts:
        - mountPath: /certs
          name: certs
          readOnly: true
      volumes:
      - name: certs
        secret:
          secretName: gateway-tls
          defaultMode: 0640   # octal
      - name: scripts
        configMap: { name: scripts, defaultMode: 0o755, items: [ { key: run, path: run, mode: 493 } ] }
status: {}
"#;

const CONFIGURATION: &str = r#"apiVersion: v1
kind: ConfigMap
metadata:
    name: settings
    annotations: {note: ~}
data:
    9000: default/web:80
    3.14: pi
    true: words
    time: 12:30:00
    address: 22:22
    enabled: "on"
    empty: ''
    multi: "first
        second\
        third

        fourth"
    quoted: 'it''s "here": {} [] # & * ! | > %'
    game.properties: |
        lives=3
        secret.code: allowed
          indented

        # not a comment
    folded: >
        one
        two

          kept

        three
    stripped: |-

        begins empty
    kept: |+
        ends empty

immutable: no
"#;

const DEFINITION: &str = r"---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.17.0
  creationTimestamp: null
  name: shelves.library.example.com
spec:
  group: library.example.com
  names: {kind: Shelf, listKind: ShelfList, plural: shelves, singular: shelf, shortNames: [sh]}
  scope: Namespaced
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: |-
          Shelf holds books. More info:
          https://example.com/docs#shelves
        properties:
          spec:
            properties:
              ratio:
                default: 0.5
                maximum: 1e6
                minimum: -1.0
                type: number
              size:
                anyOf:
                - type: integer
                - type: string
                default: 10
                pattern: ^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$
                x-kubernetes-int-or-string: true
              switch:
                enum:
                - 'on'
                - 'off'
                - auto
                type: string
              limit: {type: integer, format: int64, maximum: 9223372036854775807}
            type: object
            x-kubernetes-preserve-unknown-fields: true
        type: object
    served: true
    storage: true
    subresources:
      status: {}
status:
  acceptedNames:
    kind: ''
    plural: ''
  conditions: []
  storedVersions: []
";

const RIGHTS: &str = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:edge:reader"}
rules:
- apiGroups: ["", apps]
  resources:
  - pods
  - deployments
  - "*"
  verbs: [get, list, 'watch']
-   nonResourceURLs: [/metrics, "/healthz*"]
    verbs:
        - get
---
# Source: chart/templates/binding.yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: edge-reader
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:edge:reader'}
subjects:
- {kind: ServiceAccount, name: reader, namespace: edge-system}
"#;

const LIST: &str = r#"apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    creationTimestamp: "2024-05-01T10:00:00Z"
    name: web
    resourceVersion: "123"
    uid: 2f6e7d5e-0000-4000-8000-000000000000
  spec:
    clusterIP: 10.96.0.12
    ports:
    - name: http
      nodePort: 30080
      port: 80
      targetPort: 8080
    type: NodePort
  status:
    loadBalancer: {}
- apiVersion: v1
  data:
    password: cGFzc3dvcmQ=
    salt: MTIzNA==
  kind: Secret
  metadata: {name: web, labels: {owner: }}
  type: Opaque
kind: List
metadata:
  resourceVersion: ""
"#;

const TEMPLATED: &str = r#"
---
# Source: chart/templates/job.yaml

apiVersion: batch/v1
kind: CronJob
metadata:
  name: "cleanup"
  labels:

    app: cleanup
    chart: "cleanup-1.2.3"
    heritage: Helm
    release: 0123
    revision: 85e7724
    build: 123e4
    date: 2024-05-01
spec:
  schedule: "*/5 * * * *"
  suspend: !!bool "false"
  startingDeadlineSeconds: 1e2
  jobTemplate:
    spec:
      backoffLimit: +3
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: cleanup
              image: "busybox:1.36"
              env:
                - { name: RETENTION, value: "30" }
                - name: DRY_RUN
                  value: "no"
                - name: URL
                  value: http://user:p%40ss@example.com:8080/?a=b#c
          tolerations:
            - key: node-role.kubernetes.io/control-plane
              operator: Exists
"#;

const JSON: &str = r#"{
  "apiVersion": "v1",
  "kind": "Thing",
  "metadata": {"name": "json", "annotations": {"text": "a\u00e9\n\t\"\\\/ \ud83d\ude00 {}[],:#"}},
  "spec": {
    "integer": 42, "float": 1.50, "exponent": 1e3, "negative": -0, "large": 9007199254740993,
    "list": [true, false, null, "", {}, [], [[1, 2], {"a": "b"}]],
    "yes": "no"
  }
}
"#;

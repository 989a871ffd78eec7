//! Workloads that do not run.

use super::{Then, Unlucky};

/// A Deployment whose pods nobody schedules: what the kubelet would say is said in its place.
const SERVER: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: server, namespace: __namespace__}
spec:
  replicas: 2
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      schedulerName: nobody
      containers:
      - name: main
        image: registry.example.com/servre:1.2
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: password}}]
";

pub(super) fn all() -> Vec<Unlucky> {
    vec![
        Unlucky::new("wrong-image", "correct the image or give access to the registry", SERVER)
            .then(Then::PodsWait("ImagePullBackOff", "Back-off pulling image \"registry.example.com/servre:1.2\": not found")),
        Unlucky::new("crash-loop", "look at the logs of the container that crashes", SERVER)
            .then(Then::PodsWait("CrashLoopBackOff", "back-off 2m40s restarting failed container=main pod=server")),
        Unlucky::new("missing-config-map", "create the ConfigMap settings", SERVER)
            .then(Then::PodsWait("CreateContainerConfigError", "configmap \"settings\" not found")),
        Unlucky::new("missing-secret", "create the Secret password", SERVER)
            .then(Then::PodsWait("CreateContainerConfigError", "secret \"password\" not found")),
        Unlucky::new(
            "failing-pods",
            "see that the pods fail",
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: failing, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: failing}}
  template:
    metadata: {labels: {app: failing, brokkr.test/fails: \"true\"}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
",
        ),
        Unlucky::new(
            "missing-priority-class",
            "create the PriorityClass or take another",
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: urgent, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: urgent}}
  template:
    metadata: {labels: {app: urgent}}
    spec: {priorityClassName: very-urgent, containers: [{name: main, image: 'registry.example.com/a:1'}]}
",
        ),
        Unlucky::new(
            "missing-priority-class-of-pod",
            "create the PriorityClass or take another",
            "
apiVersion: v1
kind: Pod
metadata: {name: urgent, namespace: __namespace__}
spec: {priorityClassName: very-urgent, containers: [{name: main, image: 'registry.example.com/a:1'}]}
",
        ),
        Unlucky::new(
            "missing-runtime-class",
            "create the RuntimeClass or take another",
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: sandboxed, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: sandboxed}}
  template:
    metadata: {labels: {app: sandboxed}}
    spec: {runtimeClassName: gvisor, containers: [{name: main, image: 'registry.example.com/a:1'}]}
",
        ),
        Unlucky::new(
            "unschedulable",
            "label a node, or correct the nodeSelector",
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: picky, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: picky}}
  template:
    metadata: {labels: {app: picky}}
    spec: {nodeSelector: {disk: nvme}, containers: [{name: main, image: 'registry.example.com/a:1'}]}
",
        ),
        Unlucky::new(
            "too-much-memory",
            "ask for less memory, or add a larger node",
            "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: huge, namespace: __namespace__}
spec:
  serviceName: huge
  selector: {matchLabels: {app: huge}}
  template:
    metadata: {labels: {app: huge}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1', resources: {requests: {memory: 900Pi}}}]}
",
        ),
        Unlucky::new(
            "quota-of-pods",
            "raise the quota, or ask for fewer replicas",
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: many, namespace: __namespace__}
spec:
  replicas: 5
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
",
        )
        .setup("
apiVersion: v1
kind: ResourceQuota
metadata: {name: pods, namespace: __namespace__}
spec: {hard: {pods: 2}}
"),
        Unlucky::new(
            "limit-range",
            "ask for less CPU, or raise the LimitRange",
            "
apiVersion: v1
kind: Pod
metadata: {name: busy, namespace: __namespace__}
spec: {containers: [{name: main, image: 'registry.example.com/a:1', resources: {limits: {cpu: 8}}}]}
",
        )
        .setup("
apiVersion: v1
kind: LimitRange
metadata: {name: range, namespace: __namespace__}
spec: {limits: [{type: Container, max: {cpu: 2}}]}
"),
        Unlucky::new(
            "claim-of-missing-class",
            "create the StorageClass or take another",
            "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: __namespace__}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast-ssd, resources: {requests: {storage: 1Gi}}}
",
        ),
        Unlucky::new(
            "claim-unbound",
            "provide a PersistentVolume, or name a class",
            "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: __namespace__}
spec: {accessModes: [ReadWriteMany], storageClassName: \"\", resources: {requests: {storage: 500Gi}}}
",
        ),
        Unlucky::new(
            "set-with-missing-class",
            "create the StorageClass or take another",
            "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: database, namespace: __namespace__}
spec:
  serviceName: database
  selector: {matchLabels: {app: database}}
  template:
    metadata: {labels: {app: database}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1', volumeMounts: [{name: data, mountPath: /data}]}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: fast-ssd, resources: {requests: {storage: 1Gi}}}
",
        ),
        Unlucky::new(
            "job-failed",
            "look at the Job's pods, and publish a changed Job",
            "
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: __namespace__}
spec:
  backoffLimit: 0
  template:
    metadata: {labels: {brokkr.test/fails: \"true\"}}
    spec: {restartPolicy: Never, containers: [{name: main, image: 'registry.example.com/a:1'}]}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: after
  namespace: __namespace__
  annotations: {config.kubernetes.io/depends-on: batch/namespaces/__namespace__/Job/migrate}
",
        ),
        Unlucky::new(
            "job-deadline",
            "give it more time, or find out why it takes so long",
            "
apiVersion: batch/v1
kind: Job
metadata: {name: slow, namespace: __namespace__}
spec:
  activeDeadlineSeconds: 2
  ttlSecondsAfterFinished: 1
  template:
    spec: {restartPolicy: Never, nodeSelector: {disk: nvme}, containers: [{name: main, image: 'registry.example.com/a:1'}]}
",
        ),
        Unlucky::new(
            "budget-without-pods",
            "see that nothing is wrong, or that the selector matches nothing",
            "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: budget, namespace: __namespace__}
spec: {minAvailable: 2, selector: {matchLabels: {app: nobody}}}
",
        ),
        Unlucky::new(
            "autoscaler-without-target",
            "create the Deployment, or correct its name",
            "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: scaler, namespace: __namespace__}
spec:
  maxReplicas: 5
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: nobody}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
",
        ),
        Unlucky::new(
            "autoscaler-without-metrics",
            "install a metrics server",
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: __namespace__}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'registry.example.com/a:1'}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: __namespace__}
spec:
  maxReplicas: 5
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
",
        ),
    ]
}

//! The Pod Security Standards (Kubernetes documentation, "Pod Security Standards"), as a check of manifests.
//!
//! A value of an unexpected type counts as a violation: the API server would reject it, or read it in a way of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A level of the Pod Security Standards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PodSecurity {
    /// Forbids known ways to gain rights on the node, and requires current hardening.
    Restricted,
    /// Forbids known ways to gain rights on the node. The default.
    #[default]
    Baseline,
    /// Allows everything.
    Privileged,
}

const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const SAFE_SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];
const SELINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
const RESTRICTED_VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

impl PodSecurity {
    /// Returns what the level forbids in a pod: its `spec`, and the annotations of its metadata.
    pub(super) fn violations(self, spec: &Map<String, Value>, annotations: Option<&Value>) -> Vec<String> {
        let mut found = Found::default();
        if self <= Self::Baseline {
            baseline(spec, annotations, &mut found);
        }
        if self == Self::Restricted {
            restricted(spec, &mut found);
        }
        found.0
    }
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn check(&mut self, is_allowed: bool, what: impl FnOnce() -> String) {
        if !is_allowed {
            self.0.push(what());
        }
    }
}

fn baseline(spec: &Map<String, Value>, annotations: Option<&Value>, found: &mut Found) {
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        found.check(is_unset(spec.get(field)), || format!("{field} of a pod"));
    }
    for volume in list(spec.get("volumes")) {
        found.check(volume.get("hostPath").is_none_or(Value::is_null), || "a hostPath volume".to_owned());
    }
    let context = spec.get("securityContext");
    baseline_context(context, "a pod", found);
    for sysctl in list(context.and_then(|it| it.get("sysctls"))) {
        let name = sysctl.get("name").and_then(Value::as_str).unwrap_or_default();
        found.check(SAFE_SYSCTLS.contains(&name), || format!("the sysctl {name:?}"));
    }
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        let profile = value.as_str().unwrap_or_default();
        let is_allowed =
            !key.starts_with(APPARMOR_ANNOTATION) || profile == "runtime/default" || profile.starts_with("localhost/");
        found.check(is_allowed, || format!("the AppArmor profile {profile:?}"));
    }
    for (name, container) in containers(spec) {
        let context = container.get("securityContext");
        let of = format!("the container {name:?}");
        baseline_context(context, &of, found);
        let field = |field| context.and_then(|it| it.get(field));
        found.check(is_unset(field("privileged")), || format!("privileged of {of}"));
        found.check(is_one_of(field("procMount"), &["", "Default"]), || format!("procMount of {of}"));
        for added in list(field("capabilities").and_then(|it| it.get("add"))) {
            let is_allowed = added.as_str().is_some_and(|it| BASELINE_CAPABILITIES.contains(&it));
            found.check(is_allowed, || format!("the capability {added} of {of}"));
        }
        for port in list(container.get("ports")) {
            let is_unset = port.get("hostPort").is_none_or(|it| it.is_null() || it.as_u64() == Some(0));
            found.check(is_unset, || format!("a hostPort of {of}"));
        }
        let hooks = container.get("lifecycle");
        let handlers = ["livenessProbe", "readinessProbe", "startupProbe"].map(|it| container.get(it));
        let handlers =
            handlers.into_iter().chain(["postStart", "preStop"].map(|it| hooks.and_then(|hooks| hooks.get(it))));
        for handler in handlers.flatten() {
            for action in ["httpGet", "tcpSocket"] {
                let host = handler.get(action).and_then(|it| it.get("host"));
                found.check(is_one_of(host, &[""]), || format!("the host of a probe or hook of {of}"));
            }
        }
    }
}

/// The part of a security context that pods and containers share.
fn baseline_context(context: Option<&Value>, of: &str, found: &mut Found) {
    let field = |parent: &str, field: &str| context.and_then(|it| it.get(parent)?.get(field));
    found.check(is_unset(field("windowsOptions", "hostProcess")), || format!("hostProcess of {of}"));
    found.check(is_one_of(field("appArmorProfile", "type"), &["RuntimeDefault", "Localhost"]), || {
        format!("the AppArmor profile of {of}")
    });
    found.check(is_one_of(field("seccompProfile", "type"), &["RuntimeDefault", "Localhost"]), || {
        format!("the seccomp profile of {of}")
    });
    let is_selinux = is_one_of(field("seLinuxOptions", "type"), &SELINUX_TYPES)
        && is_one_of(field("seLinuxOptions", "user"), &[""])
        && is_one_of(field("seLinuxOptions", "role"), &[""]);
    found.check(is_selinux, || format!("the SELinux options of {of}"));
}

fn restricted(spec: &Map<String, Value>, found: &mut Found) {
    for volume in list(spec.get("volumes")) {
        let mut sources =
            volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && !value.is_null());
        let is_allowed = sources.all(|(key, _)| RESTRICTED_VOLUMES.contains(&key.as_str()));
        found.check(is_allowed, || format!("the type of the volume {}", volume.get("name").unwrap_or(&Value::Null)));
    }
    let of_pod = |field: &str| spec.get("securityContext").and_then(|it| it.get(field));
    let is_root = |user: Option<&Value>| user.is_some_and(|it| !it.is_null() && it.as_u64().is_none_or(|it| it == 0));
    found.check(!is_root(of_pod("runAsUser")), || "runAsUser 0 of a pod".to_owned());
    for (name, container) in containers(spec) {
        let field = |field: &str| container.get("securityContext").and_then(|it| it.get(field));
        let of = format!("the container {name:?}");
        let is_escalating = field("allowPrivilegeEscalation") != Some(&Value::Bool(false));
        found.check(!is_escalating, || format!("allowPrivilegeEscalation of {of}: it must be false"));
        let non_root = field("runAsNonRoot").filter(|it| !it.is_null()).or(of_pod("runAsNonRoot"));
        found.check(non_root == Some(&Value::Bool(true)), || format!("runAsNonRoot of {of}: it must be true"));
        found.check(!is_root(field("runAsUser")), || format!("runAsUser 0 of {of}"));
        let profile = field("seccompProfile").filter(|it| !it.is_null()).or(of_pod("seccompProfile"));
        let kind = profile.and_then(|it| it.get("type")).and_then(Value::as_str);
        found.check(matches!(kind, Some("RuntimeDefault" | "Localhost")), || {
            format!("the seccomp profile of {of}: it must be RuntimeDefault or Localhost")
        });
        let capabilities = |verb: &str| list(field("capabilities").and_then(|it| it.get(verb)));
        found.check(capabilities("drop").iter().any(|it| it == "ALL"), || {
            format!("the capabilities of {of}: it must drop ALL")
        });
        let added = capabilities("add").iter().all(|it| it == "NET_BIND_SERVICE");
        found.check(added, || format!("the capabilities of {of}: it may add only NET_BIND_SERVICE"));
    }
}

/// All containers of a pod, with their names.
fn containers(spec: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let all = lists.into_iter().flat_map(|it| list(spec.get(it)));
    all.map(|container| (container.get("name").and_then(Value::as_str).unwrap_or_default(), container))
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether a flag is absent or false.
fn is_unset(flag: Option<&Value>) -> bool {
    matches!(flag, None | Some(Value::Null | Value::Bool(false)))
}

/// Whether a text is absent or one of these.
fn is_one_of(text: Option<&Value>, allowed: &[&str]) -> bool {
    match text {
        None | Some(Value::Null) => true,
        Some(text) => text.as_str().is_some_and(|it| allowed.contains(&it)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violations(level: PodSecurity, spec: &Value) -> Vec<String> {
        level.violations(spec.as_object().expect("an object"), None)
    }

    /// A pod that every level allows.
    fn hardened() -> Value {
        json!({
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "main", "image": "i", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            }}],
            "volumes": [{"name": "a", "configMap": {"name": "a"}}, {"name": "b", "emptyDir": {}}],
        })
    }

    fn changed(pointer: &str, value: Value) -> Value {
        let mut spec = hardened();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = spec.pointer_mut(parent).expect("the parent");
        match parent {
            Value::Array(items) => items.push(value),
            parent => parent[key] = value,
        }
        spec
    }

    #[test]
    fn hardened_pod_is_allowed_at_every_level() {
        for level in [PodSecurity::Restricted, PodSecurity::Baseline, PodSecurity::Privileged] {
            assert!(violations(level, &hardened()).is_empty(), "{level:?}");
        }
    }

    #[test]
    fn baseline_forbids_ways_to_the_node() {
        let container = |field: &str| format!("/containers/0/{field}");
        let context = |field: &str| format!("/containers/0/securityContext/{field}");
        for (pointer, value) in [
            ("/hostNetwork".to_owned(), json!(true)),
            ("/hostPID".to_owned(), json!(true)),
            ("/hostIPC".to_owned(), json!(true)),
            ("/hostPID".to_owned(), json!("true")),
            ("/volumes/-".to_owned(), json!({"name": "c", "hostPath": {"path": "/"}})),
            ("/volumes/-".to_owned(), json!({"name": "c", "hostPath": {}})),
            ("/initContainers".to_owned(), json!([{"name": "i", "securityContext": {"privileged": true}}])),
            ("/ephemeralContainers".to_owned(), json!([{"name": "i", "securityContext": {"privileged": true}}])),
            ("/securityContext/windowsOptions".to_owned(), json!({"hostProcess": true})),
            ("/securityContext/sysctls".to_owned(), json!([{"name": "kernel.msgmax", "value": "1"}])),
            ("/securityContext/seccompProfile".to_owned(), json!({"type": "Unconfined"})),
            ("/securityContext/appArmorProfile".to_owned(), json!({"type": "Unconfined"})),
            ("/securityContext/seLinuxOptions".to_owned(), json!({"type": "spc_t"})),
            ("/securityContext/seLinuxOptions".to_owned(), json!({"user": "system_u"})),
            ("/securityContext/seLinuxOptions".to_owned(), json!({"role": "system_r"})),
            (context("privileged"), json!(true)),
            (context("procMount"), json!("Unmasked")),
            (context("capabilities"), json!({"add": ["SYS_ADMIN"]})),
            (context("capabilities"), json!({"add": ["chown"]})),
            (context("seccompProfile"), json!({"type": "Unconfined"})),
            (context("windowsOptions"), json!({"hostProcess": true})),
            (container("ports"), json!([{"containerPort": 80, "hostPort": 80}])),
            (container("livenessProbe"), json!({"httpGet": {"host": "169.254.169.254", "port": 80}})),
            (container("lifecycle"), json!({"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}})),
        ] {
            let spec = changed(&pointer, value);
            assert_eq!(violations(PodSecurity::Baseline, &spec).len(), 1, "{pointer}: {spec}");
            assert!(!violations(PodSecurity::Restricted, &spec).is_empty(), "{pointer}");
            assert!(violations(PodSecurity::Privileged, &spec).is_empty(), "{pointer}");
        }
    }

    #[test]
    fn baseline_allows_harmless_values() {
        for (pointer, value) in [
            ("/hostNetwork", json!(false)),
            ("/hostUsers", json!(false)),
            ("/volumes/-", json!({"name": "c", "nfs": {"server": "a", "path": "/"}})),
            ("/volumes/-", json!({"name": "c", "hostPath": null, "emptyDir": {}})),
            ("/securityContext/sysctls", json!([{"name": "net.ipv4.tcp_syncookies", "value": "1"}])),
            ("/securityContext/seLinuxOptions", json!({"level": "s0:c1,c2", "type": "container_t"})),
            ("/securityContext/runAsUser", json!(0)),
            ("/containers/0/securityContext", json!({"capabilities": {"add": ["CHOWN"]}, "procMount": "Default"})),
            ("/containers/0/ports", json!([{"containerPort": 80, "hostPort": 0}])),
            ("/containers/0/livenessProbe", json!({"httpGet": {"port": 80}, "tcpSocket": {"host": ""}})),
        ] {
            let spec = changed(pointer, value);
            assert_eq!(violations(PodSecurity::Baseline, &spec), Vec::<String>::new(), "{pointer}");
        }
        let profiles =
            |profile: &str| json!({"container.apparmor.security.beta.kubernetes.io/main": profile, "a": "b"});
        let spec = hardened();
        let with =
            |profile| PodSecurity::Baseline.violations(spec.as_object().expect("an object"), Some(&profiles(profile)));
        assert!(with("runtime/default").is_empty() && with("localhost/a").is_empty());
        assert_eq!(with("unconfined").len(), 1);
    }

    #[test]
    fn restricted_requires_hardening() {
        for (pointer, value) in [
            ("/volumes/-", json!({"name": "c", "nfs": {"server": "a", "path": "/"}})),
            ("/securityContext/runAsUser", json!(0)),
            ("/securityContext/runAsNonRoot", json!(false)),
            ("/securityContext/seccompProfile", Value::Null),
            ("/containers/0/securityContext/runAsUser", json!(0)),
            ("/containers/0/securityContext/runAsNonRoot", json!(false)),
            ("/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
            ("/containers/0/securityContext/capabilities", json!({"drop": ["KILL"]})),
            ("/containers/0/securityContext/capabilities", json!({"drop": ["ALL"], "add": ["CHOWN"]})),
        ] {
            let spec = changed(pointer, value);
            assert_eq!(violations(PodSecurity::Restricted, &spec).len(), 1, "{pointer}: {spec}");
            assert!(violations(PodSecurity::Baseline, &spec).is_empty(), "{pointer}");
        }
        let bare = json!({"containers": [{"name": "main"}]});
        assert_eq!(violations(PodSecurity::Restricted, &bare).len(), 4);
    }
}

//! Notations that all Kubernetes tools read alike: the broker accepts them, and the agent applies the objects of kubectl's dry run.

use std::time::Duration;

use brokkr_testbed::shapes::{self, Names};
use serde_json::json;

use super::files::File;
use super::look::is_applied;
use crate::agent::World;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

const APPLIED: Duration = Duration::from_secs(40);

/// A ConfigMap and its special notation.
fn map(name: &str, metadata: &str, data: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: __namespace__\n{metadata}data:\n{data}"
    )
}

/// Names, how many objects there are, and texts.
fn texts() -> Vec<(&'static str, u64, String)> {
    let plain = |name: &str| map(name, "", "  k: v\n");
    let with = |name: &str, metadata: &str| map(name, metadata, "  k: v\n");
    let nulls = "  annotations:\n    example.com/a: null\n    example.com/b: ~\n    example.com/c:\n";
    let sixties = "  ports: 8022:8022\n  short: 1:30\n  long: 190:20:30\n";
    let days = "  day: 2026-11-30\n  time: 2026-11-30T12:00:00Z\n  version: 1.2.3\n";
    let words = "  a: \"yes\"\n  b: 'off'\n  c: !!str true\n  d: !!str 0777\n  e: \"~\"\n";
    let item = |name: &str| format!("- metadata: {{name: {name}, namespace: __namespace__}}\n");
    let accounts = format!("apiVersion: v1\nkind: ServiceAccountList\nitems:\n{}{}", item("a"), item("b"));
    let keys = "  3306: a\n  1.50: b\n  no: c\n  0o17: e\n  12e03: f\n";
    vec![
        ("null-annotation", 1, with("nulls", nulls)),
        ("null-label", 1, with("null-label", "  labels: {app: null}\n")),
        ("sixties", 1, map("sixties", "  annotations:\n    at: 7:45:10\n", sixties)),
        ("days", 1, map("days", "", days)),
        ("words", 1, map("words", "", words)),
        ("marked-second", 2, format!("{}---\n\u{feff}{}", plain("first"), plain("second"))),
        ("flow-stream", 2, format!("{}---\n{}", flow("one"), flow("two"))),
        ("json-stream", 2, format!("{}{}", flow("three"), flow("four"))),
        ("twice", 1, format!("{}---\n{}", plain("same"), plain("same"))),
        ("empty-list", 1, format!("apiVersion: v1\nkind: ConfigMapList\nitems: []\n---\n{}", plain("alone"))),
        ("typed-list", 2, accounts),
        ("keys", 1, map("keys", "", keys)),
        ("label-numbers", 1, with("label-numbers", "  labels:\n    \"1\": \"2\"\n    3: \"4\"\n")),
        ("modes", 1, modes()),
    ]
}

fn flow(name: &str) -> String {
    format!(
        r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}", "namespace": "__namespace__"}}, "data": {{"k": "v"}}}}"#
    ) + "\n"
}

/// Octal modes in a Pod that never runs.
fn modes() -> String {
    "apiVersion: v1
kind: Pod
metadata:
  name: modes
  namespace: __namespace__
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: registry.example.com/main:1
  volumes:
  - name: a
    emptyDir: {}
  - name: b
    secret: {secretName: s, optional: true, defaultMode: 0777}
  - name: c
    configMap:
      name: m
      optional: true
      defaultMode: 0o711
      items:
      - {key: a, path: a, mode: 0001}
      - {key: b, path: b, mode: 0x1a4}
      - {key: c, path: c, mode: 420}
      - {key: d, path: d, mode: +0200}
"
    .to_owned()
}

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    let at = Names { name: "reading".to_owned(), namespace: scene.namespace.clone() };
    let shapes = [
        ("shape-octal-modes", 4, shapes::octal_modes(&at)),
        ("shape-lists", 9, shapes::lists(&at)),
        ("shape-comments", 4, shapes::comments(&at)),
        ("shape-anchors", 4, shapes::anchors(&at)),
        ("shape-number-keys", 3, shapes::number_keys(&at)),
    ];
    let texts =
        texts().into_iter().map(|(name, count, text)| (name, count, text.replace("__namespace__", &at.namespace)));
    let mut published = Vec::new();
    for (stack, objects, text) in shapes.into_iter().chain(texts) {
        let (file, mut wrong) = (File::new(stack, text), Vec::new());
        match file.publish(&mut scene, &json!({})).await {
            Ok(found) => must(&mut wrong, found == objects, format!("{found} of {objects} objects were found")),
            Err(error) => wrong.push(error.to_string()),
        }
        published.push((file, wrong));
    }
    for (file, mut wrong) in published {
        if scene.stacks.contains_key(&file.stack) {
            is_applied(&scene, &file.stack, APPLIED, "the file", &mut wrong).await?;
            wrong.extend(file.differences(world, &scene).await?);
        } else {
            // Whether the case is a good one.
            wrong.extend(file.as_kubectl(world, &scene).err().map(|it| format!("kubectl refuses the file too: {it}")));
        }
        rounds.add(&file.stack, wrong);
    }
    super::look::end(scene, rounds).await
}

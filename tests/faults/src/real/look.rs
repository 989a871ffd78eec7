//! Helpers that read what a user sees.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::agent::key::Key;
use crate::agent::proxy::eventually;
use crate::agent::rest::Kube;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

/// Time limit for most steps. The agent's interval is two seconds.
pub(super) const SOON: Duration = Duration::from_secs(15);
const END: Duration = Duration::from_secs(75);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A deadline that several waits share, so that many defects take no longer than one.
pub(super) struct Until(tokio::time::Instant);

impl Until {
    pub(super) fn within(time: Duration) -> Self {
        Self(tokio::time::Instant::now() + time)
    }

    /// The remaining time, at least enough for one look.
    pub(super) fn left(&self) -> Duration {
        self.0.saturating_duration_since(tokio::time::Instant::now()).max(Duration::from_millis(300))
    }
}

/// Ends a check: removes all of its stacks within a time limit.
pub(super) async fn end(scene: Scene, rounds: Rounds) -> Result<Outcome> {
    scene.end_within(END, rounds).await
}

/// The reasons and messages of all conditions of a status.
pub(super) fn said(status: &Value) -> String {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let lines: Vec<String> = conditions
        .map(|it| {
            let (kind, state, reason) = (text(&it["type"]), text(&it["status"]), text(&it["reason"]));
            format!("{kind}={state} {reason} {}", text(&it["message"])).trim_end().to_owned()
        })
        .collect();
    lines.join(" | ")
}

/// A status in one line.
pub(super) fn brief(status: &Value) -> String {
    let revisions = format!("{}/{}", status["applied_revision"], status["desired_revision"]);
    let error = &status["last_error"];
    let error = if error.is_null() { String::new() } else { format!(" last_error {error}") };
    format!("applied {revisions}, health {}, {}{error}", status["health"], said(status))
}

/// One condition of a status.
pub(super) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|it| it["type"] == kind)
}

/// Waits until a stack's status matches. Adds the last status to the errors after the time limit.
pub(super) async fn comes(
    scene: &Scene,
    stack: &str,
    within: Duration,
    what: &str,
    wrong: &mut Vec<String>,
    is_so: impl Fn(&Value) -> bool,
) -> Result<()> {
    let id = scene.id(stack);
    let so = eventually(within, || async { Ok(is_so(&scene.status(&id).await?)) }).await?;
    if !so {
        wrong.push(format!(
            "timeout after {} s: {what}; status: {}",
            within.as_secs(),
            brief(&scene.status(&id).await?)
        ));
    }
    Ok(())
}

/// Waits until a stack's newest revision is applied.
pub(super) async fn is_applied(
    scene: &Scene,
    stack: &str,
    within: Duration,
    what: &str,
    wrong: &mut Vec<String>,
) -> Result<()> {
    let revision = scene.stacks.get(stack).map(|told| told.revision);
    comes(scene, stack, within, &format!("{what} is applied"), wrong, |status| {
        status["applied_revision"].as_u64() == revision && revision.is_some()
    })
    .await
}

/// Fails if the newest revision is not applied, because later steps would prove nothing.
pub(super) async fn must_apply(scene: &Scene, stack: &str) -> Result<()> {
    let mut wrong = Vec::new();
    is_applied(scene, stack, Duration::from_secs(60), stack, &mut wrong).await?;
    wrong.pop().map_or(Ok(()), |wrong| Err(format!("the preparation failed: {wrong}").into()))
}

/// Waits until a live object matches. Adds the last state to the errors after the time limit.
pub(super) async fn becomes(
    kube: &Kube,
    key: &Key,
    within: Duration,
    what: &str,
    wrong: &mut Vec<String>,
    is_so: impl Fn(Option<&Value>) -> bool,
) -> Result<()> {
    let so = eventually(within, || async { Ok(is_so(kube.get(key).await?.as_ref())) }).await?;
    if !so {
        let there = kube.get(key).await?.map_or_else(|| "nothing".to_owned(), |it| without_noise(it).to_string());
        wrong.push(format!("timeout after {} s: {what}; {key} is {there}", within.as_secs()));
    }
    Ok(())
}

/// Repeats a check for a while. Adds the first violation to the errors.
pub(super) async fn stays<F: Future<Output = Result<Option<String>>>>(
    during: Duration,
    wrong: &mut Vec<String>,
    mut defect: impl FnMut() -> F,
) -> Result<()> {
    let deadline = tokio::time::Instant::now() + during;
    while tokio::time::Instant::now() < deadline {
        if let Some(defect) = defect().await? {
            wrong.push(defect);
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// An object without fields that only lengthen the output.
pub(super) fn without_noise(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["managedFields", "labels", "annotations", "creationTimestamp"] {
            metadata.remove(field);
        }
    }
    object
}

/// The URL path of an object of any version.
pub(super) fn path(manifest: &Value) -> String {
    let key = Key::of(manifest);
    let version = manifest["apiVersion"].as_str().unwrap_or_default();
    let version = version.rsplit('/').next().unwrap_or_default();
    let path = key.path();
    let root = Key::root(&key.group);
    let rest = path.strip_prefix(&root).unwrap_or_default();
    format!("{}{version}{rest}", root.trim_end_matches("v1"))
}

/// A live object of any version.
pub(super) async fn live(kube: &Kube, manifest: &Value) -> Result<Option<Value>> {
    let path = path(manifest);
    match kube.read(&path).await? {
        (200, object) => Ok(Some(object)),
        (404, _) => Ok(None),
        (status, answer) => Err(format!("GET {path}: {status} {answer}").into()),
    }
}

/// Sets the status of an object as its controller.
pub(super) async fn set_status(kube: &Kube, key: &Key, status: &Value) -> Result<()> {
    let path = format!("{}/status?fieldManager=controller", key.path());
    let patch = serde_json::json!({"status": status});
    kube.0.must(Method::PATCH, &path, "application/merge-patch+json", Some(&patch)).await.map(drop)
}

/// The number of the agent's writes of an object in the audit log.
pub(super) fn writes_on(scene: &Scene, key: &Key) -> Result<usize> {
    Ok(scene.replica.writes()?.iter().filter(|write| write.key == *key).count())
}

/// Adds the recorded failures of a stack to the errors.
pub(super) async fn no_failures(scene: &Scene, stack: &str, wrong: &mut Vec<String>) -> Result<()> {
    let failures = scene.failures(stack).await?;
    let texts: Vec<String> = failures.iter().map(|it| format!("{} {}", it["reason"], it["message"])).collect();
    must(
        wrong,
        failures.is_empty(),
        format!("{} failures were recorded on the way: {}", failures.len(), texts.join("; ")),
    );
    Ok(())
}

/// Runs a blocking function.
pub(super) fn blocking<T>(run: impl FnOnce() -> brokkr_testbed::Result<T>) -> Result<T> {
    Ok(tokio::task::block_in_place(run)?)
}

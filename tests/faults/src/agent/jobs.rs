//! Jobs that fail and are cleaned up.

use std::time::Duration;

use serde_json::{Value, json};

use super::key::Key;
use super::manifests::config_map;
use super::proxy::eventually;
use super::rounds::Rounds;
use super::scene::{Scene, must};
use super::world::World;
use crate::{Outcome, Result};

const SOON: Duration = Duration::from_secs(5);
const ENDED: Duration = Duration::from_secs(30);
const HOLD: Duration = Duration::from_secs(5);

/// A Job without pods: it fails at its deadline, and the cluster deletes it some seconds later.
fn job(namespace: &str, name: &str, deadline: u64, clean_up: u64) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": clean_up,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/job:1"}]}},
        },
    })
}

/// The stack stays degraded, dependents wait, dropped objects stay, and only a changed manifest starts another attempt.
pub(crate) async fn fails_and_vanishes(world: &World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "job-fails-and-vanishes").await?;
    let mut rounds = Rounds::default();
    for (round, clean_up) in [(1, 0), (2, 1), (3, 4)] {
        let stack = format!("s{round}");
        let (job_name, space) = (format!("job{round}"), scene.namespace.clone());
        let old = config_map(&space, &format!("old{round}"), 1);
        scene.publish(&stack, vec![old.clone()]).await?;
        scene.settle().await?;
        let mut after = config_map(&space, &format!("after{round}"), 1);
        let reference = format!("batch/namespaces/{space}/Job/{job_name}");
        after["metadata"]["annotations"] = json!({"config.kubernetes.io/depends-on": reference});
        let failing = job(&space, &job_name, 2, clean_up);
        let wait = Some(json!({"wait": {"timeout_seconds": 20}}));
        scene.publish_with(&stack, vec![failing.clone(), after.clone()], wait).await?;
        let key = Key::of(&failing);
        let wrote = |scene: &Scene| -> Result<usize> {
            Ok(scene.replica.writes()?.iter().filter(|write| write.key == key).count())
        };
        let gone = eventually(ENDED, || async { Ok(wrote(&scene)? > 0 && scene.kube.get(&key).await?.is_none()) });
        if !gone.await? {
            return Err("the Job is not cleaned up".into());
        }
        let mut wrong = Vec::new();
        let id = scene.id(&stack);
        must(
            &mut wrong,
            scene.reports(&id, &["\"degraded\"", &job_name]).await?,
            "the status does not report the failed Job",
        );
        let before = wrote(&scene)?;
        if round == 2 {
            // The result survives a restart of the agent.
            scene.replica.start()?;
        }
        wrong.extend(scene.others_go_on(2 * SOON).await?);
        let changed = eventually(HOLD, || async {
            let is_degraded = scene.status(&id).await?["health"] == "degraded";
            let (is_early, is_pruned) =
                (scene.kube.get(&Key::of(&after)).await?.is_some(), scene.kube.get(&Key::of(&old)).await?.is_none());
            Ok(!is_degraded || is_early || is_pruned)
        });
        must(&mut wrong, !changed.await?, "the failed Job counts as done");
        must(&mut wrong, wrote(&scene)? == before, "the failed Job is created again");
        // Another attempt, which has not failed yet.
        let pending = job(&space, &job_name, 5000 + round, clean_up);
        let manifests = vec![pending, config_map(&space, &format!("after{round}"), 2)];
        scene.publish_with(&stack, manifests, Some(json!({}))).await?;
        wrong.extend(scene.judge().await?);
        rounds.add(format!("round {round}"), wrong);
    }
    scene.end(rounds).await
}

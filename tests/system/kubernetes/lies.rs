//! Wrong answers of a broker cause no writes in a cluster.
//!
//! During each lie a new revision exists, so that an agent that accepted a part of the answer would write. The check reads the API
//! server's audit log: no writes by the agent, whether it kept running or started during the lie. Afterwards the answers are
//! correct again, and the agent continues.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use brokkr_core::model::Generation;
use brokkr_core::model::{AgentId, Digest, Epoch};
use brokkr_core::protocol::{EntryAction, TargetEntry, TargetState};
use brokkr_testbed::AgentProcess;
use serde_json::json;

use crate::support::{AuditMark, Broker, Liar, Lie, Told, agent_through, clusters, eventually, stays};

const HTML: &str = "<!doctype html><title>Sign in</title><p>Please sign in to the network";

/// A lie and its name.
type Case = (&'static str, Lie);

fn polls(lie: fn(&Told) -> Response) -> Lie {
    Lie::ToPolls(lie)
}

fn told_as(state: &TargetState) -> Response {
    crate::support::json(state)
}

fn anew(state: &TargetState, entries: Vec<TargetEntry>) -> TargetState {
    TargetState::new(
        state.agent_id,
        state.epoch,
        state.epoch_confirmed,
        state.generation,
        state.tenants.clone(),
        entries,
    )
}

fn lower(generation: Generation) -> Generation {
    Generation::new(generation.get() - 1)
}

/// Turns every entry into a removal.
fn removals(state: &TargetState, confirmed: bool) -> Vec<TargetEntry> {
    let remove = |entry: &TargetEntry| TargetEntry {
        action: EntryAction::Remove,
        object_id: None,
        revision: None,
        digest: None,
        size: None,
        confirmed,
        ..entry.clone()
    };
    state.entries.iter().map(remove).collect()
}

struct Scene {
    broker: Broker,
    liar: Arc<Liar>,
    agent: AgentProcess,
    namespace: String,
    changing: String,
    revision: u64,
}

impl Scene {
    /// An agent behind a liar that does not lie yet, with one stack that changes and one that does not.
    async fn new(name: &str) -> Self {
        let broker = Broker::start(None).await;
        let liar = Liar::start(&broker.url).await;
        let cluster = &clusters()[2];
        let agent = agent_through(&broker, &liar.url, name, cluster);
        let namespace = format!("test-{name}");
        cluster.kubectl(&["create", "namespace", &namespace]).unwrap();
        let (changing, steady) = (broker.stack("changing"), broker.stack("steady"));
        broker.target(&steady, &agent);
        broker.target(&changing, &agent);
        // More objects than unconfirmed removals may delete at once.
        broker.publish(&steady, &(0..110).map(|n| map(&namespace, &format!("steady-{n}"), "1")).collect::<String>());
        let mut scene = Self { broker, liar, agent, namespace, changing, revision: 0 };
        scene.publish();
        scene.goes_on().await;
        eventually("applied", || async { scene.broker.applied(&steady, 1) }).await;
        scene
    }

    fn publish(&mut self) {
        let next = self.revision + 1;
        self.revision = self.broker.publish(&self.changing, &map(&self.namespace, "changing", &next.to_string()));
    }

    async fn goes_on(&self) {
        eventually("applied", || async { self.broker.applied(&self.changing, self.revision) }).await;
    }

    /// Every object in the namespace, with its resource version.
    fn content(&self) -> Vec<String> {
        let path =
            "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.resourceVersion}{\"\\n\"}{end}";
        let text = clusters()[2].kubectl(&["get", "configmaps", "-n", &self.namespace, "-o", path]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    async fn nothing_happens(&self, lie: &str, mark: &AuditMark<'_>, before: &[String]) {
        eventually(&format!("{lie}: the agent got the wrong answer twice"), || async {
            let told = self.liar.told();
            if told >= 2 { Ok(()) } else { Err(told) }
        })
        .await;
        // Time for a pass over a wrongly accepted target state.
        stays(Duration::from_millis(1_200), &format!("{lie}: the agent writes nothing"), || async {
            mark.none(&[&self.agent.id, &self.namespace])
        })
        .await;
        assert_eq!(self.content(), before, "{lie}");
    }

    async fn survives(&mut self, cases: &[Case]) {
        for (name, lie) in cases {
            let (mark, before) = (AuditMark::now(&clusters()[2]), self.content());
            assert_eq!(before.len(), 112, "all objects, and the defaults of every namespace");
            self.liar.say(*lie);
            self.publish();
            self.nothing_happens(name, &mark, &before).await;
            self.agent.kill();
            self.liar.say(*lie);
            self.agent.start().unwrap();
            self.nothing_happens(&format!("{name}, from the start"), &mark, &before).await;
            self.liar.say(Lie::Honest);
            self.goes_on().await;
        }
    }
}

fn map(namespace: &str, name: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{k: \"{value}\"}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modified_target_states_cause_no_writes() {
    let cases: [Case; 6] = [
        ("a wrong digest", polls(|told| told_as(&TargetState { digest: Digest::of(b"x"), ..told.now.clone() }))),
        ("a count that does not fit", polls(|told| told_as(&TargetState { count: 3, ..told.now.clone() }))),
        (
            "an entry dropped",
            polls(|told| {
                // The unchanged stack.
                let mut state = told.now.clone();
                state.entries.remove(1);
                state.count = 1;
                told_as(&state)
            }),
        ),
        (
            "an entry twice, with a digest that is right",
            polls(|told| {
                let entries = [told.now.entries.as_slice(), &told.now.entries[..1]].concat();
                told_as(&anew(&told.now, entries))
            }),
        ),
        (
            "an entry that names no content, with a digest that is right",
            polls(|told| {
                let mut entries = told.now.entries.clone();
                entries.iter_mut().for_each(|it| it.object_id = None);
                told_as(&anew(&told.now, entries))
            }),
        ),
        (
            "another agent's list",
            polls(|told| {
                let (state, other) = (&told.now, AgentId::generate());
                let entries = state.entries.clone();
                told_as(&TargetState::new(
                    other,
                    state.epoch,
                    state.epoch_confirmed,
                    state.generation,
                    state.tenants.clone(),
                    entries,
                ))
            }),
        ),
    ];
    Scene::new("lies-touched").await.survives(&cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_target_states_cause_no_writes() {
    let cases: [Case; 6] = [
        (
            "a list cut off",
            polls(|told| {
                let whole = serde_json::to_vec(&told.now).unwrap();
                ([(header::CONTENT_TYPE, "application/json")], whole[..whole.len() / 2].to_vec()).into_response()
            }),
        ),
        ("a page of HTML", polls(|_| ([(header::CONTENT_TYPE, "text/html")], HTML).into_response())),
        ("nothing at all", polls(|_| StatusCode::OK.into_response())),
        ("no content", polls(|_| StatusCode::NO_CONTENT.into_response())),
        ("an empty list of another shape", polls(|_| axum::Json(json!({"items": [], "next": null})).into_response())),
        (
            "another format",
            polls(|told| {
                let yaml = format!("agent_id: {}\ncount: 0\nentries: []\n", told.now.agent_id);
                ([(header::CONTENT_TYPE, "application/yaml")], yaml).into_response()
            }),
        ),
    ];
    Scene::new("lies-shapeless").await.survives(&cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_and_redirects_cause_no_writes() {
    let cases: [Case; 6] = [
        ("an error of a proxy", polls(|_| (StatusCode::INTERNAL_SERVER_ERROR, HTML).into_response())),
        ("no such agent", polls(|_| refusal(StatusCode::NOT_FOUND, "not-found"))),
        ("no such key", polls(|_| refusal(StatusCode::UNAUTHORIZED, "unauthenticated"))),
        ("gone", polls(|_| refusal(StatusCode::GONE, "gone"))),
        ("a redirect", polls(|_| (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response())),
        (
            "nothing new, to who knows nothing",
            polls(|told| {
                let headers = [
                    ("brokkr-generation", told.now.generation.get().to_string()),
                    ("brokkr-epoch", told.now.epoch.to_string()),
                ];
                (StatusCode::NOT_MODIFIED, headers).into_response()
            }),
        ),
    ];
    let mut scene = Scene::new("lies-refusals").await;
    scene.survives(&cases).await;
    assert_eq!(scene.liar.elsewhere(), 0, "the agent must not send its key to the target of a redirect");
}

fn refusal(status: StatusCode, slug: &str) -> Response {
    let body = json!({"type": format!("urn:problem:{slug}"), "title": "no", "status": status.as_u16()});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_target_states_cause_no_writes() {
    let mut scene = Scene::new("lies-past").await;
    // An epoch that ends, then one that an admin confirms. The lies below repeat answers from before.
    scene.liar.begin_epoch();
    scene.publish();
    scene.goes_on().await;
    let mark = AuditMark::now(&clusters()[2]);
    stays(Duration::from_secs(2), "the new epoch changes nothing", || async {
        mark.none(&[&scene.agent.id, &scene.namespace])
    })
    .await;
    scene.publish();
    scene.goes_on().await;
    let cases: [Case; 5] = [
        (
            "an older list",
            polls(|told| {
                let same = |it: &&TargetState| it.epoch == told.now.epoch;
                told_as(told.before.iter().find(same).unwrap())
            }),
        ),
        (
            "an older list, after a detour through another history",
            polls(|told| {
                static COUNT: AtomicUsize = AtomicUsize::new(0);
                let (state, epoch) = (&told.now, Epoch::generate());
                if COUNT.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                    return told_as(&TargetState::new(
                        state.agent_id,
                        epoch,
                        false,
                        state.generation,
                        state.tenants.clone(),
                        Vec::new(),
                    ));
                }
                let same = |it: &&TargetState| it.epoch == state.epoch;
                told_as(told.before.iter().find(same).unwrap())
            }),
        ),
        (
            "an empty list from before",
            polls(|told| {
                let (state, generation) = (&told.now, lower(told.before.last().unwrap().generation));
                told_as(&TargetState::new(
                    state.agent_id,
                    state.epoch,
                    state.epoch_confirmed,
                    generation,
                    state.tenants.clone(),
                    Vec::new(),
                ))
            }),
        ),
        (
            "removals from before",
            polls(|told| {
                let (state, generation) = (&told.now, lower(told.before.last().unwrap().generation));
                let entries = removals(state, true);
                told_as(&TargetState::new(
                    state.agent_id,
                    state.epoch,
                    state.epoch_confirmed,
                    generation,
                    state.tenants.clone(),
                    entries,
                ))
            }),
        ),
        (
            "a history that was left",
            polls(|told| {
                let other = |it: &&TargetState| it.epoch != told.now.epoch && it.count == 2;
                told_as(told.before.iter().find(other).unwrap())
            }),
        ),
    ];
    scene.survives(&cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unconfirmed_removals_cause_no_writes() {
    let cases: [Case; 6] = [
        ("an empty list, whole and new", polls(|told| told_as(&anew(&told.now, Vec::new())))),
        ("everything to go, confirmed by nobody", polls(|told| told_as(&anew(&told.now, removals(&told.now, false))))),
        (
            "everything to go, in a history that nobody confirmed",
            polls(|told| {
                let (state, epoch) = (&told.now, Epoch::generate());
                told_as(&TargetState::new(
                    state.agent_id,
                    epoch,
                    false,
                    state.generation,
                    state.tenants.clone(),
                    removals(state, true),
                ))
            }),
        ),
        ("other content", Lie::AboutContent(|_| map("default", "test-lies-other", "1").into_response())),
        ("content cut off", Lie::AboutContent(|whole| whole[..whole.len() / 2].to_vec().into_response())),
        ("a page of HTML as content", Lie::AboutContent(|_| HTML.into_response())),
    ];
    Scene::new("lies-orders").await.survives(&cases).await;
    assert_eq!(clusters()[2].get("configmap", "default", "test-lies-other").unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn immediate_poll_answers_do_not_cause_a_request_flood() {
    let scene = Scene::new("lies-hasty").await;
    let mark = AuditMark::now(&clusters()[2]);
    // A proxy may drop the ETag or the wait parameter of a poll.
    for (what, lie) in [
        ("the whole list, again and again", polls(|told| told_as(&told.now))),
        (
            "nothing new, at once",
            polls(|told| {
                let headers = [
                    ("brokkr-generation", told.now.generation.get().to_string()),
                    ("brokkr-epoch", told.now.epoch.to_string()),
                ];
                (StatusCode::NOT_MODIFIED, headers).into_response()
            }),
        ),
    ] {
        scene.liar.say(lie);
        stays(Duration::from_secs(3), what, || async {
            let told = scene.liar.told();
            if told <= 8 { Ok(()) } else { Err(told) }
        })
        .await;
        assert!(scene.liar.told() >= 2, "{what}: the agent continues to poll");
    }
    mark.none(&[&scene.agent.id, &scene.namespace]).unwrap();
}

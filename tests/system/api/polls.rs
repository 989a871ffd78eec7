//! Polls for target states.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Api, Reply, eventually};

const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

struct Agent {
    api: Api,
    id: String,
    key: String,
    instance: String,
}

impl Agent {
    async fn new(api: &Api, name: &str) -> Self {
        let (id, key) = api.agent(name, json!({"env": "prod"})).await;
        let instance = brokkr_core::model::InstanceId::generate().to_string();
        Self { api: api.clone(), id, key, instance }
    }

    async fn poll(&self, known: Option<&str>, wait: u64) -> Reply {
        let headers: Vec<_> = known.map(|tag| ("if-none-match", tag)).into_iter().collect();
        self.api
            .call(
                &self.key,
                "GET",
                &format!("/api/v1/agents/{}/target-state?hold=true&wait={wait}", self.id),
                &headers,
                "",
            )
            .await
    }

    async fn report(&self, sequence: u64, more: Value) -> Reply {
        let mut report = json!({"instance_id": self.instance, "sequence": sequence, "cluster_uid": "uid"});
        for (key, value) in more.as_object().unwrap() {
            report[key] = value.clone();
        }
        self.api.send_as(&self.key, "POST", &format!("/agents/{}/reports", self.id), report).await
    }

    async fn report_outcome(&self, sequence: u64, stack: &str, action: &str, outcome: &str, reason: &str) -> Reply {
        let now = "2026-01-01T00:00:00Z";
        let event = json!({"id": brokkr_core::model::EventId::generate(), "stack_id": stack, "action": action,
            "outcome": outcome, "reason": reason, "started_at": now, "finished_at": now});
        self.report(sequence, json!({"events": [event]})).await
    }
}

fn etag(reply: &Reply) -> String {
    reply.headers["etag"].to_str().unwrap().to_owned()
}

fn actions(reply: &Reply) -> Vec<(String, bool)> {
    let entries = reply.json()["entries"].as_array().unwrap().clone();
    entries.iter().map(|it| (it["action"].as_str().unwrap().to_owned(), it["confirmed"].as_bool().unwrap())).collect()
}

async fn labelled(api: &Api, name: &str) -> String {
    let stack = api.send("POST", "/stacks", json!({"name": name, "labels": {"env": "prod"}})).await.text("/id");
    api.publish(&stack, OBJECT).await;
    stack
}

#[tokio::test]
async fn numbers_and_times_out_of_range_are_refused() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let stack = labelled(&api, "web").await;
    let status = |field: &str, number: u64| json!({"status": [{"stack_id": stack, field: number}]});
    let most = i64::MAX as u64;
    for (n, field) in ["observed_revision", "applied_revision", "attempts"].into_iter().enumerate() {
        for number in [most + 1, u64::MAX] {
            assert_eq!(agent.report(1, status(field, number)).await.slug(), "number-out-of-range", "{field} {number}");
        }
        let zero = agent.report(1, status(field, 0)).await;
        assert_eq!(zero.status.is_success(), n == 2, "{field} 0: {zero:?}");
    }
    assert_eq!(agent.report(most + 1, json!({})).await.slug(), "number-out-of-range");
    let event = |revision: u64, at: &str| {
        json!({"events": [{"id": brokkr_core::model::EventId::generate(), "stack_id": stack, "action": "apply", "revision": revision,
            "outcome": "success", "started_at": at, "finished_at": at}]})
    };
    for (revision, at, slug) in [
        (0, "2026-01-01T00:00:00Z", "number-out-of-range"),
        (most + 1, "2026-01-01T00:00:00Z", "number-out-of-range"),
        (1, "0000-01-01T00:00:00Z", "field-invalid"),
        (1, "-000001-01-01T00:00:00Z", "field-invalid"),
    ] {
        assert_eq!(agent.report(2, event(revision, at)).await.slug(), slug, "{revision} {at}");
    }
    assert_eq!(agent.report(3, event(1, "0001-01-01T00:00:00Z")).await.status, 200);
    for path in ["/events", "/audit"] {
        for name in ["since", "until"] {
            let query = format!("{path}?{name}=0000-01-01T00:00:00Z");
            assert_eq!(api.get(&query).await.slug(), "query-invalid", "{query}");
        }
    }
}

#[tokio::test]
async fn revoked_key_ends_its_waiting_poll() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let tag = etag(&agent.poll(None, 0).await);
    let began = Instant::now();
    let (waiting, rotated) = tokio::join!(agent.poll(Some(&tag), 30), async {
        api.send("POST", &format!("/agents/{}/rotate-pak", agent.id), json!({"overlap_seconds": 1})).await
    });
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert_eq!(waiting.status, 401, "{waiting:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
    // Revoking another key does not end the poll.
    let reader = api.send("POST", "/keys", json!({"name": "r", "kind": "admin-read-only"})).await;
    let path = format!("/api/v1/agents/{}/target-state?wait=30", agent.id);
    let headers = [("if-none-match", tag.as_str())];
    let key = reader.text("/pak");
    let (answer, ()) = tokio::join!(api.call(&key, "GET", &path, &headers, ""), async {
        let gone = api.send("DELETE", &format!("/keys/{}", reader.text("/key/id")), json!({})).await;
        assert_eq!(gone.status, 204, "{gone:?}");
        labelled(&api, "web").await;
    });
    assert_eq!(answer.status, 401, "{answer:?}");
}

#[tokio::test]
async fn weak_etag_matches() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let tag = etag(&agent.poll(None, 0).await);
    for known in [format!("W/{tag}"), format!("\"other\", {tag}"), format!("\"x\" , W/{tag}")] {
        assert_eq!(agent.poll(Some(&known), 0).await.status, 304, "{known}");
    }
    assert_eq!(agent.poll(Some("\"other\""), 0).await.status, 200);
}

#[tokio::test]
async fn unchanged_poll_gets_304_and_a_change_ends_the_wait() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let empty = agent.poll(None, 0).await;
    assert_eq!((empty.status.as_u16(), empty.json()["count"].as_u64()), (200, Some(0)));
    let tag = etag(&empty);
    let unchanged = agent.poll(Some(&tag), 0).await;
    assert_eq!((unchanged.status.as_u16(), etag(&unchanged)), (304, tag.clone()));
    assert!(unchanged.headers.contains_key("brokkr-generation") && unchanged.headers.contains_key("brokkr-epoch"));
    assert_eq!(agent.poll(Some("\"nonsense\""), 0).await.status, 200);
    let began = Instant::now();
    assert_eq!(agent.poll(Some(&tag), 1).await.status, 304);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let began = Instant::now();
    let (reply, stack) = tokio::join!(agent.poll(Some(&tag), 30), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        labelled(&api, "web").await
    });
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((actions(&reply), reply.text("/entries/0/stack_id")), (vec![("apply".to_owned(), false)], stack));
    let state: brokkr_core::protocol::TargetState = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(state.defect(agent.id.parse().unwrap()), None);
    assert_eq!(agent.poll(None, 61).await.slug(), "query-invalid");
}

#[tokio::test]
async fn listed_stack_stays_listed_until_removal_is_confirmed() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let stack = labelled(&api, "web").await;
    assert_eq!(actions(&agent.poll(None, 0).await), [("apply".to_owned(), false)]);
    // The removal of a label is not an explicit order.
    let path = format!("/api/v1/stacks/{stack}");
    let headers = [("content-type", "application/merge-patch+json"), ("if-match", "\"1\"")];
    api.call(&api.admin, "PATCH", &path, &headers, r#"{"labels":{"env":null}}"#).await;
    let held = [("hold".to_owned(), false)];
    eventually("the broker decides about the loss", || async {
        let found = actions(&agent.poll(None, 0).await);
        assert!(found == held || found == [("remove".to_owned(), false)], "{found:?}");
        if found == held { Err(found) } else { Ok(()) }
    })
    .await;
    // The deletion of the stack is an explicit order.
    let deleted = api.send("DELETE", &format!("/stacks/{stack}"), json!({})).await;
    assert_eq!((deleted.status.as_u16(), deleted.text("/phase")), (202, "deleting".to_owned()));
    assert_eq!(actions(&agent.poll(None, 0).await), [("remove".to_owned(), true)]);
    assert_eq!(api.send("POST", "/stacks", json!({"name": "web"})).await.slug(), "stack-deleting");
    agent.report_outcome(1, &stack, "remove", "failure", "Finalizers").await;
    assert_eq!(actions(&agent.poll(None, 0).await), [("remove".to_owned(), true)]);
    agent.report_outcome(2, &stack, "remove", "success", "Removed").await;
    assert_eq!(actions(&agent.poll(None, 0).await), []);
    assert_eq!(api.get(&format!("/stacks/{stack}")).await.slug(), "not-found");
    // An agent that returns with objects of the stack gets it as a removal.
    agent.report(3, json!({"held": [stack]})).await;
    assert_eq!(actions(&agent.poll(None, 0).await), [("remove".to_owned(), true)]);
    // A stack that the broker does not know is not listed for removal, only shown.
    let unknown = brokkr_core::model::StackId::generate().to_string();
    agent.report(4, json!({"held": [unknown]})).await;
    assert_eq!(agent.poll(None, 0).await.json()["count"], 1);
    assert_eq!(api.get(&format!("/agents/{}", agent.id)).await.json()["session"]["unknown_stacks"], json!([unknown]));
}

#[tokio::test]
async fn removed_target_lists_the_stack_for_removal() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let stack = api.stack("web").await;
    api.publish(&stack, OBJECT).await;
    let target = format!("/stacks/{stack}/targets/{}", agent.id);
    api.send("PUT", &target, json!({})).await;
    assert_eq!(actions(&agent.poll(None, 0).await), [("apply".to_owned(), false)]);
    api.send("DELETE", &target, json!({})).await;
    assert_eq!(actions(&agent.poll(None, 0).await), [("remove".to_owned(), true)]);
    api.send("PUT", &target, json!({})).await;
    assert_eq!(actions(&agent.poll(None, 0).await), [("apply".to_owned(), false)], "taken back");
    api.send("DELETE", &target, json!({})).await;
    agent.poll(None, 0).await;
    api.send("DELETE", &format!("/stacks/{stack}"), json!({})).await;
    let abandoned = api.send("POST", &format!("{target}/abandon"), json!({"reason": "the cluster burned"})).await;
    assert_eq!(abandoned.status, 204);
    assert_eq!(api.get(&format!("/stacks/{stack}")).await.slug(), "not-found", "the deletion waits for no other agent");
    assert_eq!(
        actions(&agent.poll(None, 0).await),
        [("remove".to_owned(), true)],
        "a returning agent still gets the removal"
    );
}

#[tokio::test]
async fn cordoned_agent_keeps_stacks_and_retired_agent_is_refused() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    labelled(&api, "old").await;
    agent.poll(None, 0).await;
    let status = async |version: &str, status: &str| {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", version)];
        let path = format!("/api/v1/agents/{}", agent.id);
        api.call(&api.admin, "PATCH", &path, &headers, json!({"status": status}).to_string()).await
    };
    assert_eq!(status("\"1\"", "cordoned").await.status, 200);
    labelled(&api, "new").await;
    let state = agent.poll(None, 0).await;
    assert_eq!(
        (actions(&state), state.text("/entries/0/stack_name")),
        (vec![("apply".to_owned(), false)], "old".to_owned())
    );
    status("\"2\"", "retired").await;
    assert_eq!(agent.poll(None, 0).await.slug(), "agent-retired");
}

#[tokio::test]
async fn repeated_reports_count_once_and_the_newest_process_wins() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let stack = labelled(&api, "web").await;
    agent.poll(None, 0).await;
    let first = agent.report_outcome(1, &stack, "apply", "failure", "Refused").await.json();
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(1), &json!(0)));
    let repeated = agent.report_outcome(2, &stack, "apply", "failure", "Refused").await.json();
    assert_eq!(repeated["duplicates"], 1, "a repeated outcome counts as a duplicate");
    let late = agent.report_outcome(2, &stack, "apply", "success", "Applied").await.json();
    assert_eq!(late["duplicates"], 1, "an older sequence counts as a duplicate");
    let events = api.get(&format!("/stacks/{stack}/events")).await.json();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let status = api.get(&format!("/stacks/{stack}/status")).await.json();
    assert_eq!(
        (&status["summary"]["failed"], &status["agents"][0]["last_error"]["reason"]),
        (&json!(1), &json!("Refused"))
    );
    let newer = Agent {
        instance: brokkr_core::model::InstanceId::generate().to_string(),
        id: agent.id.clone(),
        key: agent.key.clone(),
        api: api.clone(),
    };
    assert_eq!(newer.report(1, json!({})).await.status, 200);
    assert_eq!(agent.report(9, json!({})).await.slug(), "instance-superseded");
    assert_eq!(newer.report(2, json!({"cluster_uid": "other"})).await.slug(), "wrong-cluster");
    assert_eq!(newer.report(3, json!({"nonsense": 1})).await.slug(), "unknown-field");
    let foreign = Agent::new(&api, "foreign").await;
    let path = format!("/agents/{}/reports", agent.id);
    let body = json!({"instance_id": foreign.instance, "sequence": 1, "cluster_uid": "uid"});
    assert_eq!(api.send_as(&foreign.key, "POST", &path, body).await.slug(), "not-found");
}

/// Finding 7 of a hostile review: a report about held stacks gave the right to read them.
#[tokio::test]
async fn agent_reads_only_what_its_target_state_lists_to_apply() {
    let api = Api::new().await;
    let agent = Agent::new(&api, "edge").await;
    let published = async |stack: &str, name: &str| {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n");
        format!("/api/v1/deployment-objects/{}", api.publish(stack, &text).await.text("/id"))
    };
    let reads = async |path: &str| {
        let metadata = api.call(&agent.key, "GET", path, &[], "").await.status.as_u16();
        let content = api.call(&agent.key, "GET", path, &[("accept", "application/yaml")], "").await.status.as_u16();
        (metadata, content)
    };
    let never = api.stack("never").await;
    let secret = published(&never, "a").await;
    assert_eq!(reads(&secret).await, (404, 404));
    agent.report(1, json!({"held": [never]})).await;
    assert_eq!(actions(&agent.poll(None, 0).await), [("remove".to_owned(), false)], "the claim lists a removal");
    assert_eq!(reads(&secret).await, (404, 404), "and gives no right to read");

    let stack = api.stack("web").await;
    let first = published(&stack, "a").await;
    api.send("PUT", &format!("/stacks/{stack}/targets/{}", agent.id), json!({})).await;
    assert_eq!(reads(&first).await, (200, 200));
    let second = published(&stack, "b").await;
    assert_eq!((reads(&first).await, reads(&second).await), ((404, 404), (200, 200)), "the older revision is replaced");
    api.send("DELETE", &format!("/stacks/{stack}/targets/{}", agent.id), json!({})).await;
    assert_eq!(reads(&second).await, (404, 404), "it is to be removed");
}

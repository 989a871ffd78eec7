//! How few bytes could keep the broker busy, or fill its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brokkr_control::{Broker, NewAgent, NewGenerator, Origin};
use brokkr_core::model::StackSpec;
use brokkr_core::store::{MemoryStore, Page};
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};
use brokkr_testbed::text_at;
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::net::TcpStream;

use super::process::Attacked;
use crate::support::{Api, Database, eventually};

/// 442 bytes of YAML whose aliases expand to more than ten million nodes.
fn bomb() -> String {
    let mut text = "a0: &a0 {k: x}\n".to_owned();
    for level in 1.. {
        let line = format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 7].join(","));
        if text.len() + line.len() > 442 {
            return text;
        }
        text += &line;
    }
    text
}

/// 40 posts of 442 bytes took 2.8 GB of memory and 16 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f04_alias_bombs_cost_no_memory() {
    let attacked = Attacked::new("f04");
    let stack = attacked.json(Method::POST, "/stacks", &json!({"name": "web"})).await;
    let path = format!("/stacks/{}/deployment-objects", text_at(&stack, "/id").unwrap());
    let bomb = attacked.request(&attacked.admin, "POST", &path, "application/yaml", bomb().as_bytes());
    let (above, answers) = attacked.peak(attacked.all(40, &bomb)).await;
    assert!(answers.iter().all(|status| matches!(status, 422 | 503)), "{answers:?}");
    assert!(answers.contains(&422), "{answers:?}");
    assert!(above < 100, "the peak exceeds the idle broker by {above} MiB");
}

/// The broker read 60 bodies of 8 MiB from a key that may not publish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_bodies_are_read_only_from_callers_that_may_send_them() {
    let attacked = Attacked::new("f05");
    let agent = attacked.json(Method::POST, "/agents", &json!({"name": "edge"})).await;
    let stack = attacked.json(Method::POST, "/stacks", &json!({"name": "web"})).await;
    let key = text_at(&agent, "/pak").unwrap();
    let path = format!("/stacks/{}/deployment-objects", text_at(&stack, "/id").unwrap());
    let mut stalled = attacked.request(key, "POST", &path, "application/yaml", &vec![b' '; 8 * 1024 * 1024]);
    // The last byte never arrives.
    stalled.pop();
    let (above, answers) = attacked.peak(attacked.all(60, &stalled)).await;
    assert!(answers.iter().all(|status| *status == 403), "{answers:?}");
    assert!(above < 64, "the peak exceeds the idle broker by {above} MiB");
    // From a key that may publish, all bodies together are limited.
    let stalled = attacked.request(&attacked.admin, "POST", &path, "application/yaml", &vec![b' '; 8 * 1024 * 1024]);
    let (above, answers) = attacked.peak(attacked.all(60, &stalled[..stalled.len() - 1])).await;
    assert!(answers.iter().all(|status| matches!(status, 400 | 408 | 429 | 503)), "{answers:?}");
    assert!(above < 150, "the peak exceeds the idle broker by {above} MiB");
}

/// Without a key, half heads took 106 MB, and silent connections took every file descriptor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f06_heads_and_silent_connections_are_bounded() {
    let attacked = Attacked::with_open_files("f06", 256);
    let half = format!("GET /readyz HTTP/1.1\r\nhost: x\r\na: {}", "x".repeat(400_000)).into_bytes();
    let (above, answers) = attacked.peak(attacked.all(200, &half)).await;
    assert!(answers.iter().all(|status| *status == 431), "{answers:?}");
    assert!(above < 64, "the peak exceeds the idle broker by {above} MiB");
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(TcpStream::connect(attacked.address()).await.unwrap());
    }
    let health = attacked.exchange(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec());
    let health = tokio::time::timeout(Duration::from_secs(10), health).await;
    assert_eq!(health.ok(), Some(200), "behind {} silent connections", silent.len());
}

/// 300 bytes with a new `Idempotency-Key` each kept 250 KB for a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f09_repeatable_requests_keep_little() {
    const REQUESTS: u64 = 40;
    let database = Database::new();
    let broker = Broker::builder(database.store().await).start().await.unwrap();
    let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
    let api = Api::over(broker.clone(), admin);
    let annotations: serde_json::Map<String, serde_json::Value> =
        (0..60).map(|n| (format!("a{n}"), json!("x".repeat(4_000)))).collect();
    let made = api.send("POST", "/stacks", json!({"name": "web", "annotations": annotations})).await;
    assert_eq!(made.status, 201, "{:?}", made.slug());
    let kept = || -> u64 {
        let sum = |table: &str| {
            let sql = format!("SELECT coalesce(sum(octet_length(outcome::text)), 0) FROM brokkr.{table}");
            database.query(&sql).parse::<u64>().unwrap()
        };
        sum("idempotency") + sum("idempotency_answer")
    };
    let mut first = None;
    for number in 0..REQUESTS {
        let headers = [("content-type", "application/json"), ("idempotency-key", &*format!("k{number}"))];
        let reply = api.call(&api.admin, "PUT", "/api/v1/stacks/by-name/web", &headers, "{}").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        first.get_or_insert_with(kept);
    }
    let more = (kept() - first.unwrap()) / (REQUESTS - 1);
    assert!(more < 2_000, "each further request keeps {more} bytes");
    broker.shutdown().await;
}

/// A publication was parsed again for each lost race: 30 concurrent ones took 58 seconds, and most failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_lost_race_does_not_parse_again() {
    const AT_ONCE: usize = 12;
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let yaml = |number: usize| {
        let lines = (0..16_000).map(|line| format!("  k{line}: value-{number}-{line:06}-abcdefgh\n"));
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{}", lines.collect::<String>())
    };
    let took = async |numbers: std::ops::Range<usize>, at_once: bool| {
        let bodies: Vec<String> = numbers.map(yaml).collect();
        let began = Instant::now();
        let posts: Vec<_> = bodies
            .into_iter()
            .map(|body| {
                let (api, stack) = (api.clone(), stack.clone());
                async move { api.publish(&stack, &body).await.status.as_u16() }
            })
            .collect();
        let mut answers = Vec::new();
        if at_once {
            let running: Vec<_> = posts.into_iter().map(tokio::spawn).collect();
            for post in running {
                answers.push(post.await.unwrap());
            }
        } else {
            for post in posts {
                answers.push(post.await);
            }
        }
        (began.elapsed(), answers)
    };
    let (one_by_one, answers) = took(0..AT_ONCE, false).await;
    assert!(answers.iter().all(|status| *status == 201), "{answers:?}");
    let (racing, answers) = took(AT_ONCE..AT_ONCE * 2, true).await;
    // A publication that loses too many races, or waits too long for its turn to parse, fails with one of these.
    assert!(answers.iter().all(|status| matches!(status, 201 | 409 | 503)), "{answers:?}");
    let published = answers.iter().filter(|status| **status == 201).count();
    assert!(published * 2 >= AT_ONCE, "{published} of {AT_ONCE} succeeded: {answers:?}");
    assert!(racing < one_by_one * 2, "{racing:?} at once, {one_by_one:?} one by one");
}

#[derive(Debug, Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl TargetingPolicy for Counting {
    fn evaluate(&self, _: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Verdict::matched("everything"))
    }
}

/// One entry of a placement evaluated the stacks of all tenants, under the lock that polls need.
#[tokio::test]
async fn f14_placement_evaluates_the_callers_own_stacks_page_by_page() {
    let policy = Counting::default();
    let broker = Broker::builder(MemoryStore::new()).replace_policy(policy.clone()).start().await.unwrap();
    let admin = broker.system_actor();
    let mut tenants = Vec::new();
    for (name, stacks) in [("many", 200), ("few", 20)] {
        let new = NewGenerator { name: name.to_owned(), ..NewGenerator::default() };
        let (generator, key) = broker.generator_create(&admin, new).await.unwrap();
        let actor = broker.authenticate(key.pak.unwrap().expose_secret(), Origin::in_process()).unwrap();
        for number in 0..stacks {
            broker.stack_create(&actor, None, StackSpec::named(format!("s{number}"))).await.unwrap();
        }
        tenants.push((generator.id, actor));
    }
    let registrations = Some(tenants.iter().map(|(id, _)| (*id, None)).collect());
    let new = NewAgent { name: "edge".to_owned(), registrations, ..NewAgent::default() };
    let agent = broker.agent_create(&admin, new).await.unwrap().0.id;
    let (_, few) = &tenants[1];
    let evaluated = || policy.0.load(Ordering::SeqCst);
    // Creating the agent may evaluate every stack once.
    eventually("nothing is evaluated", || async {
        let before = evaluated();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if evaluated() == before { Ok(()) } else { Err(()) }
    })
    .await;
    let before = evaluated();
    let page = broker.agent_placement(few, agent, &Page::first(1)).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let count = evaluated() - before;
    assert!(count <= 3, "{count} evaluations for one entry of a tenant with 20 stacks");
}

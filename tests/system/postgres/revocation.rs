//! Revoking a key ends its open polls, on every replica, within a second.

#![expect(clippy::print_stdout, reason = "prints the time of the slowest poll")]

use std::time::{Duration, Instant};

use brokkr_http::client::{Client, install_crypto_provider};
use brokkr_testbed::{BrokerProcess, free_port, program, text_at};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Database, eventually};

const POLLS: usize = 1_000;
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(1);

/// A broker, and the address of its metrics.
struct Broker {
    process: BrokerProcess,
    metrics: String,
}

/// Brokers on one database. The first one makes the admin key.
fn brokers(database: &Database) -> Vec<Broker> {
    let settings = database.log("settings").with_extension("toml");
    std::fs::write(&settings, format!("[broker.quotas]\nopen_polls = {POLLS}\n")).unwrap();
    let start = |number: usize| {
        let metrics = format!("127.0.0.1:{}", free_port().unwrap());
        let arguments = ["--config", settings.to_str().unwrap(), "--metrics-listen", &metrics];
        let log = database.log(&format!("broker-{number}"));
        let url = database.url("brokkr_broker");
        let process = BrokerProcess::start(
            &program("brokkr-broker").unwrap(),
            free_port().unwrap(),
            &arguments,
            Some(&url),
            &log,
        );
        Broker { process: process.unwrap(), metrics }
    };
    (0..3).map(start).collect()
}

/// Sends a request and returns the connection.
async fn send(address: &str, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn read(mut stream: TcpStream) -> (String, Instant) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    (String::from_utf8(answer).unwrap(), Instant::now())
}

/// The number of polls that wait at a broker, according to its metrics.
async fn waiting(broker: &Broker) -> usize {
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (answer, _) = read(send(&broker.metrics, request).await).await;
    let line = answer.lines().find_map(|line| line.strip_prefix("brokkr_polls_waiting "));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

/// Opens polls of one key on all brokers, revokes the key, and returns the time from the answer to the end of the last poll.
async fn revoke(brokers: &[Broker], admin: &Client, agent: &str, name: &str) -> Duration {
    let body = json!({"name": name});
    let created: Value = admin.send(Method::POST, &format!("/agents/{agent}/keys"), Some(&body)).await.unwrap();
    let (key, pak) = (text_at(&created, "/key/id").unwrap(), text_at(&created, "/pak").unwrap());
    let own = Client::builder([&brokers[0].process.url], pak).build().unwrap();
    let path = format!("/agents/{agent}/target-state");
    let state: Value = own.send(Method::GET, &path, None::<&Value>).await.unwrap();
    let request = format!(
        "GET /api/v1{path}?wait=60&epoch={}&min_generation={} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {pak}\r\n\
         if-none-match: \"{}\"\r\nconnection: close\r\n\r\n",
        text_at(&state, "/epoch").unwrap(),
        state["generation"],
        text_at(&state, "/digest").unwrap(),
    );
    let mut polls = Vec::new();
    for number in 0..POLLS {
        let address = brokers[number % brokers.len()].process.url.trim_start_matches("http://");
        polls.push(tokio::spawn(read(send(address, &request).await)));
    }
    eventually("every poll waits", || async {
        let mut counts = Vec::new();
        for broker in brokers {
            counts.push(waiting(broker).await);
        }
        if counts.iter().sum::<usize>() == POLLS { Ok(()) } else { Err(counts) }
    })
    .await;
    let revoked = format!("/agents/{agent}/keys/{key}");
    let () = admin.send(Method::DELETE, &revoked, None::<&Value>).await.unwrap();
    let answered = Instant::now();
    let mut longest = Duration::ZERO;
    for poll in polls {
        let (answer, ended) = poll.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        longest = longest.max(ended.saturating_duration_since(answered));
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_ends_open_polls_on_all_replicas_within_a_second() {
    install_crypto_provider();
    let database = Database::new();
    let brokers = brokers(&database);
    let admin =
        Client::builder([&brokers[0].process.url], brokers[0].process.admin.as_deref().unwrap()).build().unwrap();
    let created: Value = admin.send(Method::POST, "/agents", Some(&json!({"name": "edge"}))).await.unwrap();
    let agent = text_at(&created, "/agent/id").unwrap();
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        longest = longest.max(revoke(&brokers, &admin, agent, &format!("key-{round}")).await);
    }
    println!("revocation_to_end_of_last_of_{POLLS}_polls_ms {:.1}", longest.as_secs_f64() * 1000.0);
    assert!(longest <= LIMIT, "{longest:?}");
}

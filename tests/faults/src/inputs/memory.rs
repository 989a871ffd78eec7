//! The peak of the broker's memory under many worst cases at once.

use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::manifests::bomb;
use super::{Answer, Target};
use crate::agent::rounds::Rounds;
use crate::{Outcome, Result};

/// Concurrent requests of each kind.
const AT_ONCE: usize = 64;
/// What the peak may exceed the idle broker by.
const ALLOWED_MIB: u64 = 200;
/// How long a client that stalls waits for a response. Longer than the broker makes a body wait for memory.
const STALL: Duration = Duration::from_secs(8);

/// A line of `/proc/PID/status`, in KiB.
fn status(pid: u32, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name} of the broker"))?;
    Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
}

/// Sends bytes and waits for a response, which need not come.
async fn stall(target: &Target, sent: Vec<u8>) -> Option<u16> {
    let connection = TcpStream::connect(target.client.address).await.ok()?;
    let (mut reading, mut writing) = connection.into_split();
    let mut answer = vec![0; 4096];
    let exchange = async {
        let write = async {
            let _ = writing.write_all(&sent).await;
            // Keeps the connection open.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = write => 0,
            count = reading.read(&mut answer) => count.unwrap_or_default(),
        }
    };
    let count = tokio::time::timeout(STALL, exchange).await.unwrap_or_default();
    Answer::of(answer.get(..count)?).ok().map(|it| it.status)
}

/// Aliases that expand to somewhat less than what is refused, in small mappings, which take the most memory.
fn below_the_limit() -> String {
    let list = |alias: &str, count: usize| vec![alias; count].join(",");
    format!("a0: &a0 {{k: x}}\na1: &a1 [{}]\na2: [{}]\n", list("*a0", 60), list("*a1", 50))
}

pub(super) async fn run(target: &Target) -> Result<Outcome> {
    let mut rounds = Rounds::default();
    let pid = target.process.process.pid();
    let client = &target.client;
    let path = format!("/api/v1/stacks/{}/deployment-objects", target.stack);
    let (admin, agent) = (format!("Bearer {}", client.admin), format!("Bearer {}", target.agent));
    let yaml = ("content-type", "application/yaml");
    let body = vec![b' '; 8 * 1024 * 1024];
    let stalled = |key: &str| {
        let mut sent = client.request("POST", &path, &[("authorization", key), yaml], &body);
        sent.truncate(sent.len() - 1);
        sent
    };
    let half_head = format!("GET /readyz HTTP/1.1\r\nhost: x\r\na: {}", "x".repeat(400_000)).into_bytes();
    let all = [
        "alias bombs",
        "aliases below the limit",
        "values below the limit",
        "stalled bodies",
        "stalled bodies of an agent",
        "half heads",
        "everything",
    ];
    for kind in all {
        // The parsed values of one large document alone come near the limit.
        let is = |it: &str| kind == it || kind == "everything" && it != "values below the limit";
        let count = |it: &str| if is(it) { AT_ONCE } else { 0 };
        // 5 resets the peak.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        let idle = status(pid, "VmRSS")?;
        let bombs = join_all((0..count("alias bombs")).map(|n| {
            let fields = [("authorization", admin.as_str()), yaml];
            client.raw(client.request("POST", &path, &fields, bomb(n).as_bytes()))
        }));
        let below = join_all((0..count("aliases below the limit")).map(|_| {
            let fields = [("authorization", admin.as_str()), yaml];
            client.raw(client.request("POST", &path, &fields, below_the_limit().as_bytes()))
        }));
        let values = join_all((0..count("values below the limit") / 16).map(|_| {
            let fields = [("authorization", admin.as_str()), yaml];
            client.raw(client.request("POST", &path, &fields, "- {a: 1}\n".repeat(160_000).as_bytes()))
        }));
        let bodies = join_all((0..count("stalled bodies")).map(|_| stall(target, stalled(&admin))));
        let refused = join_all((0..count("stalled bodies of an agent")).map(|_| stall(target, stalled(&agent))));
        let heads = join_all((0..count("half heads")).map(|_| stall(target, half_head.clone())));
        let (bombs, below, values, bodies, refused, heads) = tokio::join!(bombs, below, values, bodies, refused, heads);
        let bombs: Vec<_> = bombs.into_iter().chain(below).chain(values).collect();
        let peak = status(pid, "VmHWM")?;
        let above = peak.saturating_sub(idle) / 1024;
        println!("{kind}: peak {} MiB, {above} MiB above the idle broker", peak / 1024);
        let mut wrong = Vec::new();
        if above > ALLOWED_MIB {
            wrong.push(format!("the peak exceeds the idle broker by {above} MiB; at most {ALLOWED_MIB} are allowed"));
        }
        let answers =
            bombs.iter().filter(|it| !matches!(it, Ok(answer) if [422, 503].contains(&answer.status))).count();
        let others = [
            (answers, "manifests"),
            (bodies.iter().flatten().filter(|status| **status != 503).count(), "stalled bodies"),
            (refused.iter().filter(|status| **status != Some(403)).count(), "stalled bodies of an agent"),
            (heads.iter().filter(|status| **status != Some(431)).count(), "half heads"),
        ];
        wrong.extend(
            others
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{count} other answers to {what}")),
        );
        if !client.ready().await.unwrap_or(false) {
            wrong.push("the broker is not ready".to_owned());
        }
        rounds.add(kind, wrong);
    }
    Ok(rounds.end(Vec::new()))
}

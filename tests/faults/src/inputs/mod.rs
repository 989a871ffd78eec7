//! Bad inputs, against a broker in its own process: each gets the documented answer, the process lives, and `/readyz`
//! answers 200 throughout.

mod bodies;
mod client;
mod framing;
mod manifests;
mod memory;
mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brokkr_testbed::{BrokerProcess, ScratchFolder, free_port, program};

use self::client::{Answer, Client};
use crate::agent::rounds::Rounds;
use crate::{Outcome, Result, chosen, tell};

/// The names of all groups. The peak of the memory is compared with a broker that has just started.
const ALL: [&str; 6] = ["memory", "framing", "requests", "bodies", "manifests", "ready"];

/// Pause between two readiness checks.
const READY_INTERVAL: Duration = Duration::from_millis(50);
/// Time limit of one readiness check, on a machine that other work keeps busy.
const READY_TIME: Duration = Duration::from_secs(10);

/// A broker with an admin, an agent and a stack.
struct Target {
    client: Client,
    process: BrokerProcess,
    /// The key of an agent, which may not publish.
    agent: String,
    stack: String,
}

/// What is expected of a case: one of several answers.
type Expected<'a> = &'a [(u16, &'a str)];

/// Runs all groups or one of them. Returns true if a case failed.
pub(crate) async fn run(only: Option<&str>) -> Result<bool> {
    let names = chosen(&ALL, only)?;
    let folder = ScratchFolder::new("inputs")?;
    let log = folder.path().join("broker.log");
    let process = BrokerProcess::start(&program("brokkr-broker")?, free_port()?, &[], None, &log)?;
    let admin = process.admin.clone().ok_or("the broker printed no admin key")?;
    let client = Client::new(process.url.trim_start_matches("http://").parse()?, admin);
    let agent = client.json("POST", "/agents", r#"{"name": "edge"}"#).await?.text("/pak")?;
    let stack = client.json("POST", "/stacks", r#"{"name": "web"}"#).await?.text("/id")?;
    let target = Target { client, process, agent, stack };
    let ready = Ready::start(&target.client);
    let mut wrong = false;
    for name in names {
        println!("==> {name}");
        let began = Instant::now();
        let outcome = match name {
            "framing" => framing::run(&target).await,
            "requests" => requests::run(&target).await,
            "bodies" => bodies::run(&target).await,
            "manifests" => manifests::run(&target).await,
            "memory" => memory::run(&target).await,
            _ => Ok(ready.outcome(&target)),
        };
        println!("==> {name}: {} s", began.elapsed().as_secs());
        wrong |= tell(name, outcome);
    }
    if let Ok(said) = std::fs::read_to_string(&log)
        && said.contains("panicked")
    {
        println!("the broker's log contains a panic:\n{said}");
        wrong = true;
    }
    Ok(wrong)
}

/// Asks for readiness until it is dropped.
struct Ready {
    asked: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
}

impl Ready {
    fn start(client: &Client) -> Self {
        let ready = Self { asked: Arc::default(), refused: Arc::default(), ends: Arc::default() };
        let (asked, refused, ends) = (ready.asked.clone(), ready.refused.clone(), ready.ends.clone());
        let client = client.clone();
        tokio::spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                let answer = tokio::time::timeout(READY_TIME, client.ready()).await;
                asked.fetch_add(1, Ordering::Relaxed);
                if !matches!(answer, Ok(Ok(true))) {
                    refused.fetch_add(1, Ordering::Relaxed);
                    println!("readyz: {answer:?}");
                }
                tokio::time::sleep(READY_INTERVAL).await;
            }
        });
        ready
    }

    /// The checks so far. A broker that has ended fails one more.
    fn outcome(&self, target: &Target) -> Outcome {
        let (asked, refused) = (self.asked.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        let ended = u64::from(!target.process.process.is_running());
        Outcome::of(asked + ended, refused + ended)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// Compares an answer with what is expected, and adds the case.
fn judge(rounds: &mut Rounds, case: &str, answer: Result<Answer>, expected: Expected<'_>) {
    let mut wrong = Vec::new();
    match answer {
        Err(error) => wrong.push(format!("no answer: {error}")),
        Ok(answer) => {
            let got = (answer.status, answer.slug());
            if !expected.iter().any(|(status, slug)| *status == got.0 && *slug == got.1) {
                wrong.push(format!("expected {expected:?}, got {got:?}: {}", answer.shown()));
            }
            wrong.extend(answer.malformed());
        }
    }
    rounds.add(case, wrong);
}

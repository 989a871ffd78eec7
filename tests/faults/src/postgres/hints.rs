//! Lost notifications and long transactions of others: brokers still see each other's writes.

use std::time::{Duration, Instant};

use brokkr_control::{Actor, Broker, NewAgent, Origin};
use brokkr_core::model::{AgentId, StackSpec};
use brokkr_core::protocol::{PollAnswer, PollRequest};
use secrecy::ExposeSecret as _;

use super::fixture::Database;
use crate::{Outcome, Result};

/// Time limit for another broker to see a write.
const SEEN: Duration = Duration::from_secs(1);

/// Two brokers, and an agent that polls one of them while the other one writes.
struct Pair {
    writer: Broker,
    reader: Broker,
    agent: AgentId,
    actor: Actor,
}

impl Pair {
    async fn new(database: &Database) -> Result<Self> {
        let (writer, reader) = (database.broker().await?, database.broker().await?);
        let new = NewAgent { name: "edge".to_owned(), ..NewAgent::default() };
        let (agent, pak) = writer.agent_create(&writer.system_actor(), new).await?;
        let pak = pak.pak.ok_or("no key")?;
        let began = Instant::now();
        let actor = loop {
            match reader.authenticate(pak.expose_secret(), Origin::in_process()) {
                Ok(actor) => break actor,
                Err(_) if began.elapsed() < Duration::from_secs(5) => {
                    tokio::time::sleep(Duration::from_millis(10)).await
                }
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Self { writer, reader, agent: agent.id, actor })
    }

    /// Targets a new stack at the agent through one broker. Returns the time until the other one lists it.
    async fn seen_after(&self, name: &str) -> Result<Option<Duration>> {
        let before = self.reader.target_state(&self.actor, self.agent, PollRequest::default()).await?;
        let PollAnswer::Changed(before) = before else { return Err("nothing listed".into()) };
        let system = self.writer.system_actor();
        let stack = self.writer.stack_create(&system, None, StackSpec::named(name)).await?;
        let manifest = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let content = brokkr_control::Content::Documents { documents: vec![manifest], message: String::new() };
        self.writer.publish(&system, stack.id, content).await?;
        self.writer.target_set(&system, stack.id, self.agent).await?;
        let wait = PollRequest { known: Some(before.digest), wait: Duration::from_secs(5), ..PollRequest::default() };
        let began = Instant::now();
        let answer = self.reader.target_state(&self.actor, self.agent, wait).await?;
        Ok(matches!(answer, PollAnswer::Changed(_)).then(|| began.elapsed()))
    }

    async fn end(self) {
        self.writer.shutdown().await;
        self.reader.shutdown().await;
    }
}

pub(crate) async fn listener_killed() -> Result<Outcome> {
    const TIMES: u64 = 100;
    let database = Database::start("listener").await?;
    let pair = Pair::new(&database).await?;
    let (mut late, mut killed, mut slowest) = (0, 0, Duration::ZERO);
    for number in 0..TIMES {
        killed += database.count(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = 'brokkr'",
        )?;
        match pair.seen_after(&format!("s{number}")).await? {
            Some(took) if took <= SEEN => slowest = slowest.max(took),
            _ => late += 1,
        }
    }
    println!("{killed} listeners killed, {late} writes seen late, the slowest after {} ms", slowest.as_millis());
    pair.end().await;
    if killed < TIMES { Err("the test found no listeners to kill".into()) } else { Ok(Outcome::of(TIMES, late)) }
}

pub(crate) async fn foreign_transaction() -> Result<Outcome> {
    let database = Database::start("foreign").await?;
    let pair = Pair::new(&database).await?;
    database.query("CREATE TABLE public.theirs (id int)")?;
    // Another client's transaction has an id and stays open.
    let url = database.server.url_of("postgres", "brokkr");
    let (program, args) = database
        .server
        .command("psql", &[&url, "-XAtc", "BEGIN; INSERT INTO public.theirs VALUES (1); SELECT pg_sleep(60); COMMIT"])
        .map_err(super::fixture::text)?;
    // psql runs one string as one transaction; the number is taken by the insert.
    let mut foreign = tokio::process::Command::new(program)
        .args(args)
        .current_dir("/")
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let began = Instant::now();
    while database
        .count("SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND query LIKE 'BEGIN; INSERT%'")?
        == 0
    {
        if began.elapsed() > Duration::from_secs(10) {
            return Err("the foreign transaction did not begin".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut tried, mut late, mut slowest) = (0, 0, Duration::ZERO);
    while foreign.try_wait()?.is_none() {
        tried += 1;
        match pair.seen_after(&format!("s{tried}")).await? {
            Some(took) if took <= SEEN => slowest = slowest.max(took),
            _ => late += 1,
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!(
        "{tried} writes while it was open for {:.0} s, {late} seen late, the slowest after {} ms",
        began.elapsed().as_secs_f64(),
        slowest.as_millis()
    );
    pair.end().await;
    Ok(Outcome::of(tried, late))
}

//! The hostile tenant, in a process of its own.

use std::time::Duration;

use clap::Args;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::paced::{Answered, paced, request};
use crate::{Result, figure, percentile};

/// Connections of the hostile tenant that publish.
const PUBLISHING: usize = 128;
const HALF_HEADS: usize = 200;
const BOMBS: usize = 64;
/// How often every connection of the bombs sends one.
const BOMB_INTERVAL: Duration = Duration::from_secs(5);

/// What the hostile tenant does.
#[derive(Debug, Clone, Args)]
pub(crate) struct Attack {
    /// Host and port of the broker.
    address: String,
    /// The key.
    key: String,
    /// Publications per second.
    rate: f64,
    /// How long, in seconds.
    seconds: u64,
    /// Whether to publish only.
    #[arg(long)]
    only_publish: bool,
    /// The stacks to publish to.
    stacks: Vec<String>,
}

/// Attacks, and prints what the answers were.
pub(crate) async fn run(attack: Attack) -> Result<()> {
    let during = Duration::from_secs(attack.seconds);
    let publishing = {
        let attack = attack.clone();
        let (address, rate) = (attack.address.clone(), attack.rate);
        async move { paced(&address, PUBLISHING, rate, during, move |number| attack.publication(number)).await }
    };
    if attack.only_publish {
        return report(&publishing.await?, during);
    }
    let heads = (0..HALF_HEADS).map(|_| tokio::spawn(half_head(attack.address.clone()))).collect::<Vec<_>>();
    let bombs = {
        let attack = attack.clone();
        let (address, rate) = (attack.address.clone(), BOMBS as f64 / BOMB_INTERVAL.as_secs_f64());
        async move { paced(&address, BOMBS, rate, during, move |number| attack.bomb(number)).await }
    };
    let (published, bombed) = tokio::try_join!(publishing, bombs)?;
    heads.iter().for_each(tokio::task::JoinHandle::abort);
    let passed = bombed.iter().filter(|it| matches!(it.status, 200 | 201)).count();
    if passed > 0 {
        return Err(format!("{passed} alias bombs were accepted").into());
    }
    let all: Vec<Answered> = published.into_iter().chain(bombed).collect();
    report(&all, during)
}

fn report(answered: &[Answered], during: Duration) -> Result<()> {
    let seconds = during.as_secs_f64();
    let of = |wanted: &dyn Fn(u16) -> bool| -> Vec<f64> {
        let wanted = answered.iter().filter(|it| wanted(it.status));
        wanted.map(|it| it.since_sent.as_secs_f64() * 1000.0).collect()
    };
    let mut refused = of(&|status| matches!(status, 429 | 503));
    figure("sent_per_second", answered.len() as f64 / seconds);
    figure("published_per_second", of(&|status| status == 201).len() as f64 / seconds);
    figure("refused_per_second", refused.len() as f64 / seconds);
    figure("without_answer", of(&|status| status == 0).len() as f64);
    figure("refused_p99_ms", percentile(&mut refused, 0.99));
    Ok(())
}

impl Attack {
    fn path(&self, number: u64) -> String {
        let stack = self.stacks.get(number as usize % self.stacks.len().max(1)).map_or("", String::as_str);
        format!("/stacks/{stack}/deployment-objects")
    }

    /// A publication of about 1 KB, different each time.
    fn publication(&self, number: u64) -> Vec<u8> {
        let process = std::process::id();
        let body = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: it}}\ndata: {{number: \"{process}-{number}\", text: \"{}\"}}\n",
            "x".repeat(900)
        );
        request("POST", &self.path(number), &self.key, "content-type: application/yaml\r\n", &body)
    }

    /// Nine levels of nine aliases each: about 400 bytes that would expand to 387 million values.
    fn bomb(&self, number: u64) -> Vec<u8> {
        let mut body =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            body += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","));
        }
        request("POST", &self.path(number), &self.key, "content-type: application/yaml\r\n", &body)
    }
}

/// Sends most of a head, and keeps the connection open until the broker closes it.
async fn half_head(address: String) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(&address).await {
            let head = format!("GET /readyz HTTP/1.1\r\nhost: broker\r\na: {}", "x".repeat(30_000));
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.readable().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

//! The disk is full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use brokkr_control::{BrokerError, Content};
use brokkr_core::model::StackSpec;
use brokkr_testbed::ScratchFolder;
use serde_json::json;

use super::fixture::{Database, text};
use crate::{Outcome, Result};

/// A small file system in memory. Unmounted on drop.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=220m", "tmpfs"]).arg(at).status()?;
        if status.success() { Ok(Self(at.to_path_buf())) } else { Err("cannot mount a tmpfs: run it as root".into()) }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

pub(crate) async fn run() -> Result<Outcome> {
    let folder = ScratchFolder::new("faults-disk").map_err(text)?;
    let place = folder.path().join("small");
    let _small = Small::mount(&place)?;
    let settings = ["max_wal_size=32MB", "min_wal_size=32MB", "wal_keep_size=0", "shared_buffers=16MB"];
    let mut database = Database::start_at(folder, &place.join("postgres"), &settings).await?;
    let ballast = place.join("ballast");
    std::fs::write(&ballast, vec![1_u8; 60 * 1024 * 1024])?;
    let broker = database.broker().await?;
    let system = broker.system_actor();
    let stack = broker.stack_create(&system, None, StackSpec::named("full")).await?;
    let (mut acknowledged, mut wrong) = (0_u64, 0);
    let publish = async |number: u64| {
        // Random letters, which do not compress well.
        let data: String = (0..900_000).map(|_| fastrand::alphanumeric()).collect();
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"n": number.to_string(), "x": data}});
        let content = Content::Documents { documents: vec![manifest], message: String::new() };
        broker.publish(&system, stack.id, content).await
    };
    let refused = loop {
        match publish(acknowledged).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        if acknowledged > 1_000 {
            return Err("the disk did not fill up".into());
        }
    };
    println!("full after {acknowledged} revisions: {refused}, retry after {:?}", refused.retry_after());
    wrong += u64::from(!matches!(refused, BrokerError::Unavailable(_)) || refused.retry_after().is_none());
    std::fs::remove_file(&ballast)?;
    // A service manager would restart a server that stopped without disk space.
    if database.query("SELECT 1").is_err() {
        println!("the server has stopped; restarting it");
        database.server.start_again().map_err(text)?;
    }
    let freed = Instant::now();
    while publish(acknowledged).await.is_err() {
        if freed.elapsed() > Duration::from_secs(60) {
            println!("no write succeeds after space is available again");
            return Ok(Outcome::of(1, 1));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    acknowledged += 1;
    let there = database.count("SELECT count(*) FROM brokkr.deployment_object")?;
    println!(
        "{acknowledged} acknowledged, {there} there, writes resume {:.1} s after space is available",
        freed.elapsed().as_secs_f64()
    );
    // A refused publication may still have been committed; then a repeat does not publish again.
    wrong += u64::from(there < acknowledged || there > acknowledged + 1);
    broker.shutdown().await;
    Ok(Outcome::of(1, wrong.min(1)))
}

//! Many writers with slow transactions: the feed has each change once, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use brokkr_core::model::{Change, GeneratorId, GeneratorPrincipal, Stack, StackId, Version};
use brokkr_core::store::conformance::sample;
use brokkr_core::store::{Commit, FeedPosition, Scope, Store, StoreError, ViewToken};

use super::fixture::Database;
use crate::{Outcome, Result};

const WRITERS: usize = 16;
const COMMITS: u64 = 200_000;
const READERS: u64 = 3;

fn commit(change: Change) -> Commit {
    Commit { audit: vec![sample::audit("order", 0)], ..sample::commit(vec![change]) }
}

pub(crate) async fn run() -> Result<Outcome> {
    let database = Database::start("order").await?;
    // Some transactions wait between the assignment of their id and their end.
    database.query(
        "CREATE FUNCTION brokkr.linger() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF random() < 0.2 THEN PERFORM pg_sleep(random() * 0.004); END IF; RETURN NEW; END $$;
         CREATE TRIGGER linger BEFORE INSERT ON brokkr.change FOR EACH ROW EXECUTE FUNCTION brokkr.linger()",
    )?;
    let store: Arc<dyn Store> = database.store(WRITERS as u32 + 8).await?;
    let system = GeneratorPrincipal { id: GeneratorId::SYSTEM, ..sample::generator("system") };
    let first = store.commit(commit(Change::Generator(system))).await?;
    let done = Arc::new(AtomicBool::new(false));
    let committed = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..READERS)
        .map(|_| tokio::spawn(read_feed(store.clone(), first.position, done.clone(), committed.clone())))
        .collect();
    // Start before the first write, so that every change arrives through the tail.
    let token = store.view_snapshot().await?.token;
    let view = tokio::spawn(read_view(store.clone(), token, done.clone(), committed.clone()));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer, committed.clone()))).collect();
    for writer in writers {
        writer.await??;
    }
    done.store(true, Ordering::SeqCst);
    let written = committed.load(Ordering::SeqCst);
    let mut wrong = 0;
    for reader in readers {
        let seen = reader.await??;
        println!("feed reader: {} of {written} changes, {} out of order", seen.rows, seen.out_of_order);
        wrong += u64::from(seen.rows != written || seen.out_of_order > 0);
    }
    let seen = view.await??;
    println!("view: {} of {written} changes, {} repeated", seen.rows, seen.out_of_order);
    wrong += u64::from(seen.rows != written || seen.out_of_order > 0);
    Ok(Outcome::of(READERS + 1, wrong))
}

async fn write(store: Arc<dyn Store>, writer: usize, committed: Arc<AtomicU64>) -> std::result::Result<(), StoreError> {
    let stack = sample::stack(&format!("writer-{writer}"));
    for version in 1..=COMMITS / WRITERS as u64 {
        let stack = Stack { version: Version::new(version), ..stack.clone() };
        store.commit(commit(Change::Stack(stack))).await?;
        let all = committed.fetch_add(1, Ordering::SeqCst) + 1;
        if all.is_multiple_of(50_000) {
            println!("{all} commits");
        }
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    rows: u64,
    out_of_order: u64,
    versions: HashMap<StackId, Version>,
}

impl Seen {
    fn take(&mut self, stack: &Stack) {
        self.rows += 1;
        let before = self.versions.insert(stack.id, stack.version).unwrap_or(Version::new(0));
        self.out_of_order += u64::from(before.next() != stack.version);
    }
}

/// Reads until it has read every written change, or no more changes arrive.
async fn read_feed(
    store: Arc<dyn Store>,
    mut position: FeedPosition,
    done: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
) -> std::result::Result<Seen, StoreError> {
    let (mut seen, mut idle) = (Seen::default(), 0);
    while !(done.load(Ordering::SeqCst) && (seen.rows >= committed.load(Ordering::SeqCst) || idle > 500)) {
        let page = store.feed(&Scope::All, position, 500).await?;
        idle = if page.entries.is_empty() { idle + 1 } else { 0 };
        for entry in &page.entries {
            seen.out_of_order += u64::from(entry.position <= position);
            position = entry.position;
            if let Change::Stack(stack) = &entry.change {
                seen.take(stack);
            }
        }
        if page.entries.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    Ok(seen)
}

async fn read_view(
    store: Arc<dyn Store>,
    mut token: ViewToken,
    done: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
) -> std::result::Result<Seen, StoreError> {
    let (mut seen, mut idle) = (Seen::default(), 0);
    while !(done.load(Ordering::SeqCst) && (seen.rows >= committed.load(Ordering::SeqCst) || idle > 500)) {
        let tail = store.view_tail(&token).await?;
        idle = if tail.entities.is_empty() { idle + 1 } else { 0 };
        for entity in &tail.entities {
            if let Change::Stack(stack) = entity {
                seen.take(stack);
            }
        }
        token = tail.token;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    Ok(seen)
}

//! Keys in the database: existing rows, damaged audit records, and the recovery of an admin key.

use brokkr_control::{Broker, BrokerError, Origin};
use brokkr_core::model::{KeyOwner, KeyScopes, Preset};
use brokkr_core::store::{AuditFilter, KeyReader as _, Page, Scope};
use brokkr_store_postgres::{migrate, migrate_steps};
use brokkr_testbed::{Process, program};
use secrecy::ExposeSecret as _;

use crate::support::{Database, eventually};

/// Runs `brokkr-broker keys recover` to its end, and returns its output.
async fn recover(database: &Database, name: &str, arguments: &[&str]) -> String {
    let words = ["keys", "recover"].iter().chain(arguments).map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let variables = [("DATABASE_URL".to_owned(), database.url("brokkr_owner"))];
    let log = database.log(name);
    let process = Process::start(&program("brokkr-broker").unwrap(), &words, &variables, &log).unwrap();
    eventually("the command ends", || async { if process.is_running() { Err("it runs") } else { Ok(()) } }).await;
    std::fs::read_to_string(log).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_11_lost_admin_key_is_recovered_with_the_database_owner() {
    let database = Database::new();
    let broker = Broker::builder(database.store().await).start().await.unwrap();
    let lost = broker.ensure_admin_key(None).await.unwrap().unwrap();

    let refused = recover(&database, "no-file", &[]).await;
    assert!(refused.contains("not a terminal") && refused.contains("--file"), "{refused}");
    assert!(!refused.contains("brokkr_admin_"), "{refused}");
    assert_eq!(database.query("SELECT count(*) FROM brokkr.api_key"), "1", "a refused recovery makes no key");

    let file = database.log("recovered").with_extension("key");
    let _ = std::fs::remove_file(&file);
    let said = recover(&database, "recover", &["--file", file.to_str().unwrap()]).await;
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(!said.contains(key.trim()) && !said.contains("brokkr_admin_"), "{said}");
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    eventually("a running broker accepts the key", || async {
        broker.authenticate(key.trim(), Origin::in_process()).map(drop).map_err(|error| error.to_string())
    })
    .await;
    let admin = broker.authenticate(key.trim(), Origin::in_process()).unwrap();
    assert!(admin.scopes().cover(&Preset::Admin.scopes()));
    let filter = AuditFilter { action: Some("key.recover".to_owned()), ..AuditFilter::default() };
    assert_eq!(broker.audit_list(&admin, &filter, &Page::default()).await.unwrap().items.len(), 1);

    // With it the lost key can be revoked, and then it is the last one.
    let keys = broker.key_list(&admin, &[KeyOwner::Admin], &Page::default()).await.unwrap().items;
    let (own, other): (Vec<_>, Vec<_>) = keys.into_iter().partition(|it| it.key.name.as_str() == "recovered");
    broker.key_delete(&admin, &[KeyOwner::Admin], other[0].key.id).await.unwrap();
    assert!(broker.authenticate(lost.expose_secret(), Origin::in_process()).is_err());
    let last = broker.key_delete(&admin, &[KeyOwner::Admin], own[0].key.id).await;
    assert!(matches!(last, Err(BrokerError::LastAdminKey)), "{last:?}");

    let again = recover(&database, "again", &["--file", file.to_str().unwrap()]).await;
    assert!(again.contains("cannot create"), "an existing file is never overwritten: {again}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_11_concurrent_revocations_leave_an_admin() {
    let database = Database::new();
    let (one, other) = (
        Broker::builder(database.store().await).start().await.unwrap(),
        Broker::builder(database.store().await).start().await.unwrap(),
    );
    let system = one.system_actor();
    for _ in 0..10 {
        for _ in 0..2 {
            one.recover_admin_key().await.unwrap();
        }
        let keys = one.key_list(&system, &[KeyOwner::Admin], &Page::default()).await.unwrap().items;
        let deletions = keys.iter().enumerate().map(|(n, it)| {
            let (broker, id) = (if n % 2 == 0 { one.clone() } else { other.clone() }, it.key.id);
            tokio::spawn(async move { broker.key_delete(&broker.system_actor(), &[KeyOwner::Admin], id).await })
        });
        for deletion in deletions.collect::<Vec<_>>() {
            let deleted = deletion.await.unwrap();
            assert!(
                matches!(deleted, Ok(()) | Err(BrokerError::LastAdminKey | BrokerError::Contention)),
                "{deleted:?}"
            );
        }
        let left = database.query("SELECT count(*) FROM brokkr.api_key WHERE deleted_at IS NULL");
        assert_ne!(left, "0", "a usable admin key is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_17_damaged_audit_record_is_listed_as_unreadable() {
    let database = Database::new();
    let broker = Broker::builder(database.store().await).start().await.unwrap();
    let damaged = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    database.query(&format!(
        "INSERT INTO brokkr.audit (id, at, actor, actor_text, action, request_id, outcome, count)
        VALUES ('{damaged}', now(), '{{\"kind\": \"martian\"}}', 'martian', 'stack.create', '{damaged}', 'success', 1)"
    ));
    broker.recover_admin_key().await.unwrap();
    let system = broker.system_actor();
    let (mut page, mut read, mut unreadable) = (Page::first(1), 0, Vec::new());
    loop {
        let listing = broker.audit_list(&system, &AuditFilter::default(), &page).await.unwrap();
        read += listing.items.len();
        unreadable.extend(listing.unreadable);
        match listing.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(unreadable.iter().map(ToString::to_string).collect::<Vec<_>>(), [damaged]);
    assert_eq!(read.to_string(), database.query("SELECT count(*) - 1 FROM brokkr.audit"), "every other record is read");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_keys_get_the_scopes_that_equal_their_rights() {
    let database = Database::empty();
    migrate_steps(&database.url("brokkr_owner").into(), 9, &[]).await.unwrap();
    let (generator, agent) = ("01a1fcd4-803a-75bf-9d5b-000000000001", "01a1fcd4-803a-75bf-9d5b-000000000002");
    database.query(&format!(
        "INSERT INTO brokkr.generator VALUES ('{generator}', 'ci', '', 1, now(), now());
        INSERT INTO brokkr.agent VALUES ('{agent}', 'edge', '', '{{}}', '{{}}', 'active', NULL, 1, now(), now())"
    ));
    let insert = |n: u32, owner: &str, table: &str| {
        database.query(&format!(
            "INSERT INTO brokkr.api_key (id, short_id, hash, name, owner, version, created_at)
            VALUES ('01a1fcd4-803a-75bf-9d5b-{n:012}', 'short{n}', 'sha256:{:064}', '{table}', '{owner}', 1, now())",
            n
        ))
    };
    let owners = [
        r#"{"kind": "admin"}"#.to_owned(),
        r#"{"kind": "admin-read-only"}"#.to_owned(),
        format!(r#"{{"kind": "generator", "id": "{generator}"}}"#),
        format!(r#"{{"kind": "agent", "id": "{agent}"}}"#),
    ];
    for (n, owner) in owners.iter().enumerate() {
        insert(10 + n as u32, owner, "before");
    }
    migrate(database.url("brokkr_owner"), Some("brokkr_broker")).await.unwrap();
    // A broker of the earlier version may still write during the update.
    for (n, owner) in owners.iter().enumerate() {
        insert(20 + n as u32, owner, "during");
    }
    assert_eq!(database.query("SELECT count(*) FROM brokkr.api_key WHERE scopes IS NULL"), "4");
    let store = database.store().await;
    for owner in owners {
        let owner: KeyOwner = serde_json::from_str(&owner).unwrap();
        let keys = store.key_list(&Scope::All, &[owner], &Page::default()).await.unwrap().items;
        let scopes: Vec<&KeyScopes> = keys.iter().map(|key| &key.scopes).collect();
        assert_eq!(scopes, [&owner.kind().default_scopes(); 2], "{owner:?}");
    }
}

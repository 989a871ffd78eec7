//! Joins at several brokers on one database.

use std::time::Duration;

use brokkr_control::{Broker, BrokerError, NewJoinToken, NewMember, Origin};
use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::entropy::SystemEntropy;
use brokkr_core::model::{AgentId, KeyKind};
use brokkr_core::pak::Pak;
use brokkr_core::store::{EntityQuery, Page};
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::{Database, eventually};

async fn brokers(database: &Database) -> Vec<Broker> {
    let mut brokers = Vec::new();
    for _ in 0..3 {
        brokers.push(Broker::builder(database.store().await).start().await.unwrap());
    }
    brokers
}

/// Creates a join token that every broker knows.
async fn token(brokers: &[Broker], uses: u32) -> SecretString {
    let end = SystemClock.now().plus(Duration::from_secs(3600));
    let new = NewJoinToken { max_uses: uses, ..NewJoinToken::named("edge", end) };
    let token = brokers[0].join_token_create(&brokers[0].system_actor(), new).await.unwrap().token.unwrap();
    eventually("every broker knows the token", || async {
        let knows =
            |broker: &Broker| broker.authenticate_join_token(token.expose_secret(), Origin::in_process()).is_ok();
        if brokers.iter().all(knows) { Ok(()) } else { Err("a broker's view is behind") }
    })
    .await;
    token
}

/// Joins, again after lost races. `None`: the token is used up.
async fn join(broker: Broker, token: SecretString, member: NewMember) -> Option<AgentId> {
    let actor = broker.authenticate_join_token(token.expose_secret(), Origin::in_process()).unwrap();
    loop {
        match broker.agent_join(&actor, member.clone()).await {
            Ok(joined) => return Some(joined.agent.id),
            Err(BrokerError::Contention) => {}
            Err(BrokerError::Unauthenticated) => return None,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_joins_at_three_brokers_create_exactly_as_many_agents_as_uses() {
    let database = Database::new();
    let brokers = brokers(&database).await;
    let token = token(&brokers, 9).await;
    let joins = (0..30).map(|n| {
        let member = NewMember { name: format!("edge-{n}"), ..NewMember::default() };
        tokio::spawn(join(brokers[n % 3].clone(), token.clone(), member))
    });
    let mut joined = Vec::new();
    for one in joins.collect::<Vec<_>>() {
        joined.extend(one.await.unwrap());
    }
    assert_eq!(joined.len(), 9);
    assert_eq!(database.query("SELECT count(*) FROM brokkr.agent"), "9");
    assert_eq!(database.query("SELECT count(*) FROM brokkr.api_key WHERE deleted_at IS NULL"), "9");
    assert_eq!(database.query("SELECT body ->> 'uses' FROM brokkr.document WHERE kind = 'join-token'"), "9");
    let audit = "SELECT count(*) FROM brokkr.audit WHERE action = 'agent.join' AND outcome = 'success'";
    assert_eq!(database.query(audit), "9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_agent_that_joins_at_three_brokers_at_once_is_one_agent() {
    let database = Database::new();
    let brokers = brokers(&database).await;
    let token = token(&brokers, 5).await;
    let key = Pak::generate(KeyKind::Agent, &SystemEntropy).unwrap();
    let member = NewMember { name: "edge".to_owned(), key: Some(key.key_hash()), ..NewMember::default() };
    let joins = (0..12).map(|n| tokio::spawn(join(brokers[n % 3].clone(), token.clone(), member.clone())));
    let mut ids = Vec::new();
    for one in joins.collect::<Vec<_>>() {
        ids.push(one.await.unwrap().expect("uses are left"));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let tokens = brokers[1]
        .join_token_list(&brokers[1].system_actor(), &EntityQuery::default(), &Page::default())
        .await
        .unwrap();
    assert_eq!(tokens.items[0].uses, 1);
    let text = key.into_secret();
    eventually("every broker accepts the key", || async {
        let accepts = |broker: &Broker| broker.authenticate(text.expose_secret(), Origin::in_process()).is_ok();
        if brokers.iter().all(accepts) { Ok(()) } else { Err("a broker's view is behind") }
    })
    .await;
}

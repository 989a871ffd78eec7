//! Paths, queries, header fields and keys.

use super::{Expected, Target, judge};
use crate::agent::rounds::Rounds;
use crate::{Outcome, Result};

/// A name, header fields, and what is expected.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, Expected<'a>);

const QUERY: Expected<'static> = &[(400, "query-invalid")];
const HEADER: Expected<'static> = &[(400, "header-invalid")];
const NOT_FOUND: Expected<'static> = &[(404, "not-found")];
const IN_URL: Expected<'static> = &[(400, "credential-in-url")];

pub(super) async fn run(target: &Target) -> Result<Outcome> {
    let mut rounds = Rounds::default();
    queries(target, &mut rounds).await;
    keys(target, &mut rounds).await;
    fields(target, &mut rounds).await;
    Ok(rounds.end(Vec::new()))
}

async fn queries(target: &Target, rounds: &mut Rounds) {
    let (client, stack) = (&target.client, &target.stack);
    let missing = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    let encoded: String = client.admin.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let twice = client.admin.replace('_', "%255F");
    let cases: Vec<(String, Expected<'_>)> = vec![
        ("/stacks?limit=-1".into(), QUERY),
        ("/stacks?limit=1000000000".into(), QUERY),
        ("/stacks?limit=abc".into(), QUERY),
        ("/stacks?limit=".into(), QUERY),
        ("/stacks?limit=+5".into(), QUERY),
        ("/stacks?limit=%2B5".into(), QUERY),
        ("/stacks?limit=5&limit=5".into(), QUERY),
        ("/stacks?nonsense=1".into(), QUERY),
        (format!("/stacks/{stack}?nonsense=1"), QUERY),
        (format!("/stacks/{stack}?a=1&a=1"), QUERY),
        ("/openapi.json?a=1".into(), QUERY),
        ("/stacks?cursor=AAAA".into(), &[(400, "cursor-invalid")]),
        (format!("/stacks?cursor={}", "A".repeat(60)), &[(400, "cursor-invalid")]),
        ("/changes?after=x".into(), QUERY),
        ("/changes?after=+1-0-0".into(), QUERY),
        ("/changes?after=9999999-1-0".into(), &[(410, "position-expired")]),
        ("/changes?after=1-9999999999-0".into(), &[(410, "position-expired")]),
        (
            "/audit?actor=';%20DROP%20TABLE%20stacks;--".into(),
            &[(200, ""), (400, "query-invalid"), (422, "field-invalid")],
        ),
        ("/audit?action=%25".into(), &[(200, ""), (400, "query-invalid")]),
        ("/audit?action=%00".into(), QUERY),
        ("/events?since=yesterday".into(), QUERY),
        (format!("/stacks/{missing}"), NOT_FOUND),
        (format!("/stacks/{}", stack.to_uppercase()), NOT_FOUND),
        (format!("/stacks/{{{stack}}}"), NOT_FOUND),
        (format!("/stacks/{stack}."), NOT_FOUND),
        ("/stacks/%00".into(), NOT_FOUND),
        ("/stacks/..%2f..%2fkeys".into(), NOT_FOUND),
        (format!("/stacks?x={}", client.admin), IN_URL),
        (format!("/stacks?x={encoded}"), IN_URL),
        (format!("/stacks?x={twice}"), IN_URL),
    ];
    for (path, expected) in cases {
        let answer = client.call("GET", &format!("/api/v1{path}"), &[], b"").await;
        judge(rounds, &path, answer, expected);
    }
    let path = format!("/api/v1/stacks/{stack}/deployment-objects?message={encoded}");
    let yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let answer = client.call("POST", &path, &[("content-type", "application/yaml")], yaml).await;
    judge(rounds, "encoded key as message", answer, IN_URL);
}

async fn keys(target: &Target, rounds: &mut Rounds) {
    const UNKNOWN: Expected<'static> = &[(401, "unauthenticated")];
    let client = &target.client;
    let bearer = format!("Bearer {}", client.admin);
    let basic = format!("Basic {}", client.admin);
    let longer = format!("{bearer}x");
    let cases: Vec<Case<'_>> = vec![
        ("no key", vec![], UNKNOWN),
        ("empty", vec![("authorization", "")], UNKNOWN),
        ("Bearer alone", vec![("authorization", "Bearer")], UNKNOWN),
        ("nothing", vec![("authorization", "Bearer nothing")], UNKNOWN),
        ("Basic", vec![("authorization", &basic)], UNKNOWN),
        ("longer", vec![("authorization", &longer)], UNKNOWN),
        ("non-ASCII", vec![("authorization", "Bearer \u{e4}")], UNKNOWN),
        ("two keys", vec![("authorization", &bearer), ("authorization", &bearer)], UNKNOWN),
        ("forwarded", vec![("x-forwarded-for", "10.0.0.1"), ("x-brokkr-actor", "system")], UNKNOWN),
        ("override", vec![("authorization", &bearer), ("x-http-method-override", "DELETE")], &[(200, "")]),
    ];
    for (case, fields, expected) in cases {
        let answer = client.raw(client.request("GET", "/api/v1/stacks", &fields, b"")).await;
        judge(rounds, case, answer, expected);
    }
}

async fn fields(target: &Target, rounds: &mut Rounds) {
    let (client, stack) = (&target.client, &target.stack);
    let path = format!("/api/v1/stacks/{stack}");
    let patch = [("content-type", "application/merge-patch+json")];
    let long = "k".repeat(300);
    let cases: Vec<Case<'_>> = vec![
        ("no If-Match", vec![], &[(428, "precondition-required")]),
        ("stale If-Match", vec![("if-match", "\"77\"")], &[(412, "precondition-failed")]),
        ("sign in If-Match", vec![("if-match", "\"+1\"")], HEADER),
        ("zero in If-Match", vec![("if-match", "\"01\"")], HEADER),
        ("second If-Match", vec![("if-match", "\"1\""), ("if-match", "\"1\"")], HEADER),
        ("list in If-Match", vec![("if-match", "\"1\", \"2\"")], HEADER),
        ("no quotes", vec![("if-match", "1")], HEADER),
    ];
    for (case, fields, expected) in cases {
        let fields: Vec<_> = patch.into_iter().chain(fields).collect();
        judge(rounds, case, client.call("PATCH", &path, &fields, b"{}").await, expected);
    }
    for (case, key, body, expected) in [
        ("long idempotency key", long.as_str(), r#"{"name": "i"}"#, HEADER),
        ("idempotency key with space", "a b", r#"{"name": "i"}"#, HEADER),
        ("idempotency key", "once", r#"{"name": "i"}"#, &[(201, "")]),
        ("idempotency key again", "once", r#"{"name": "i"}"#, &[(201, "")]),
        ("idempotency key reused", "once", r#"{"name": "j"}"#, &[(422, "idempotency-key-reused")]),
    ] {
        let fields = [("content-type", "application/json"), ("idempotency-key", key)];
        judge(rounds, case, client.call("POST", "/api/v1/stacks", &fields, body.as_bytes()).await, expected);
    }
    let read = client.call("DELETE", &path, &[("content-type", "application/json")], b"{}").await;
    judge(rounds, "body of DELETE", read, &[(400, "request-malformed")]);
}

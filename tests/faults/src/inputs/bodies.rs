//! Request bodies: media types, JSON, sizes, and rights.

use super::{Expected, Target, judge};
use crate::agent::rounds::Rounds;
use crate::{Outcome, Result};

pub(super) async fn run(target: &Target) -> Result<Outcome> {
    let mut rounds = Rounds::default();
    json(target, &mut rounds).await;
    let client = &target.client;
    let path = format!("/api/v1/stacks/{}/deployment-objects", target.stack);
    let large = vec![b' '; 20 * 1024 * 1024];
    let yaml = [("content-type", "application/yaml")];
    judge(&mut rounds, "20 MiB", client.call("POST", &path, &yaml, &large).await, &[(413, "body-too-large")]);
    let agent = format!("Bearer {}", target.agent);
    for (case, key, expected) in
        [("not permitted", agent.as_str(), (403, "forbidden")), ("no key", "Bearer x", (401, "unauthenticated"))]
    {
        let fields = [("authorization", key), yaml[0]];
        // Most of the body never arrives.
        let mut sent = client.request("POST", &path, &fields, &large);
        sent.truncate(1024);
        judge(&mut rounds, &format!("stalled body, {case}"), client.raw(sent).await, &[expected]);
        judge(
            &mut rounds,
            &format!("20 MiB, {case}"),
            client.raw(client.request("POST", &path, &fields, &large)).await,
            &[expected],
        );
    }
    let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let answer = client.call("POST", "/api/v1/stacks", &gzip, br#"{"name": "gzip"}"#).await;
    judge(&mut rounds, "Content-Encoding", answer, &[(415, "unsupported-media-type")]);
    Ok(rounds.end(Vec::new()))
}

async fn json(target: &Target, rounds: &mut Rounds) {
    const MEDIA: Expected<'static> = &[(415, "unsupported-media-type")];
    const JSON: &str = "application/json";
    let many: String = (0..10_000).map(|n| format!("\"k{n}\": \"v\",")).collect();
    let cases: Vec<(&str, &str, Vec<u8>, Expected<'_>)> = vec![
        ("text/plain", "text/plain", b"{}".to_vec(), MEDIA),
        ("utf-7", "application/json; charset=utf-7", b"{}".to_vec(), MEDIA),
        ("UTF-16", JSON, b"\xff\xfe{\0}\0".to_vec(), &[(400, "body-not-utf8")]),
        ("no UTF-8", JSON, b"{\"name\": \"\xff\"}".to_vec(), &[(400, "body-not-utf8")]),
        ("empty", JSON, b"".to_vec(), &[(400, "json-syntax")]),
        ("half", JSON, b"{".to_vec(), &[(400, "json-syntax")]),
        ("duplicate key", JSON, br#"{"name": "a", "name": "b"}"#.to_vec(), &[(400, "json-duplicate-key")]),
        ("deep", JSON, "[".repeat(1_000_000).into_bytes(), &[(400, "json-too-deep")]),
        ("id", JSON, br#"{"name": "a", "id": "x"}"#.to_vec(), &[(422, "unknown-field")]),
        ("role", JSON, br#"{"name": "a", "role": "admin"}"#.to_vec(), &[(422, "unknown-field")]),
        ("NUL", JSON, br#"{"name": "a", "description": "\u0000"}"#.to_vec(), &[(422, "text-contains-nul")]),
        ("zero-width name", JSON, "{\"name\": \"a\u{200b}\"}".into(), &[(422, "name-invalid")]),
        ("long name", JSON, format!("{{\"name\": \"{}\"}}", "a".repeat(254)).into_bytes(), &[(422, "name-invalid")]),
        ("upper-case name", JSON, br#"{"name": "A"}"#.to_vec(), &[(422, "name-invalid")]),
        ("dots", JSON, br#"{"name": ".."}"#.to_vec(), &[(422, "name-invalid")]),
        ("label", JSON, br#"{"name": "a", "labels": {"-": "x"}}"#.to_vec(), &[(422, "label-invalid")]),
        (
            "10,000 labels",
            JSON,
            format!("{{\"name\": \"a\", \"labels\": {{{}}}}}", many.trim_end_matches(',')).into_bytes(),
            &[(422, "too-many-labels")],
        ),
        ("too large", JSON, vec![b' '; 1024 * 1024 + 1], &[(413, "body-too-large")]),
        (
            "too many values",
            JSON,
            format!("{{\"name\": [{}1]}}", "1,".repeat(501_000)).into_bytes(),
            &[(422, "set-too-large")],
        ),
    ];
    for (case, media_type, body, expected) in cases {
        let answer = target.client.call("POST", "/api/v1/stacks", &[("content-type", media_type)], &body).await;
        judge(rounds, case, answer, expected);
    }
}

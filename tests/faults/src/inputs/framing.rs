//! HTTP/1 messages with several meanings or none.

use super::{Expected, Target, judge};
use crate::agent::rounds::Rounds;
use crate::{Outcome, Result};

const MALFORMED: Expected<'static> = &[(400, "request-malformed")];
const TOO_LARGE: Expected<'static> = &[(431, "head-too-large")];

pub(super) async fn run(target: &Target) -> Result<Outcome> {
    let client = &target.client;
    let mut rounds = Rounds::default();
    let key = format!("authorization: Bearer {}\r\n", client.admin);
    let get = |fields: &str| format!("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}\r\n");
    let post = |fields: &str, body: &str| {
        format!(
            "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\n{key}content-type: application/json\r\nconnection: close\r\n{fields}\r\n{body}"
        )
    };
    let cases: Vec<(&str, String, Expected<'_>)> = vec![
        ("length and coding", post("content-length: 2\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), MALFORMED),
        ("coding and length", post("transfer-encoding: chunked\r\ncontent-length: 2\r\n", "0\r\n\r\n"), MALFORMED),
        ("two lengths", post("content-length: 2\r\ncontent-length: 2\r\n", "{}"), MALFORMED),
        ("different lengths", post("content-length: 2\r\ncontent-length: 1\r\n", "{}"), MALFORMED),
        ("list of lengths", post("content-length: 2, 2\r\n", "{}"), MALFORMED),
        ("length with sign", post("content-length: +2\r\n", "{}"), MALFORMED),
        ("coding gzip", post("transfer-encoding: gzip\r\n", ""), MALFORMED),
        ("coding identity", post("transfer-encoding: identity\r\n", ""), MALFORMED),
        ("chunked twice", post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n"), MALFORMED),
        (
            "gzip in chunks",
            post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            &[(501, "transfer-coding-unsupported")],
        ),
        ("coding in HTTP/1.0", "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(), MALFORMED),
        ("bare LF", "GET /readyz HTTP/1.1\nhost: x\nconnection: close\n\n".into(), MALFORMED),
        ("one bare LF", "GET /readyz HTTP/1.1\r\nhost: x\nconnection: close\r\n\r\n".into(), MALFORMED),
        ("bare CR", get("a: b\rc\r\n"), MALFORMED),
        ("no host", "GET /readyz HTTP/1.1\r\nconnection: close\r\n\r\n".into(), MALFORMED),
        ("two hosts", get("host: y\r\n"), MALFORMED),
        ("host with user", "GET /readyz HTTP/1.1\r\nhost: a@b\r\n\r\n".into(), MALFORMED),
        ("folded field", get("a: b\r\n c\r\n"), MALFORMED),
        ("space before colon", get("a : b\r\n"), MALFORMED),
        ("NUL in a field", get("a: \0\r\n"), MALFORMED),
        ("no colon", get("nonsense\r\n"), MALFORMED),
        ("HTTP/2.0 as text", "GET / HTTP/2.0\r\nhost: x\r\n\r\n".into(), MALFORMED),
        ("two spaces", "GET  /readyz HTTP/1.1\r\nhost: x\r\n\r\n".into(), MALFORMED),
        ("fragment", "GET /readyz#a HTTP/1.1\r\nhost: x\r\n\r\n".into(), MALFORMED),
        ("nonsense", "\u{1}\u{2}\u{3}\r\n\r\n".into(), MALFORMED),
        ("body of GET", get("content-length: 2\r\n") + "{}", MALFORMED),
        ("chunks of GET", get("transfer-encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n", MALFORMED),
        ("head of 400 KB", get(&format!("a: {}\r\n", "x".repeat(400_000))), TOO_LARGE),
        ("key of 64 KiB", get(&format!("authorization: Bearer {}\r\n", "x".repeat(65_536))), TOO_LARGE),
        ("1,000 fields", get(&"a: b\r\n".repeat(1_000)), TOO_LARGE),
        (
            "path of 100 KB",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000)),
            &[(414, "uri-too-long")],
        ),
        (
            "CONNECT",
            "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\nconnection: close\r\n\r\n".into(),
            &[(405, "method-not-allowed")],
        ),
        ("TRACE", get("").replace("GET", "TRACE"), &[(405, "method-not-allowed")]),
        ("unknown method", get("").replace("GET", "BREW"), &[(405, "method-not-allowed")]),
        (
            "size with space",
            post("transfer-encoding: chunked\r\n", "2 \r\n{}\r\n0\r\n\r\n"),
            &[(400, "body-incomplete")],
        ),
        ("chunk with LF", post("transfer-encoding: chunked\r\n", "2\n{}\r\n0\r\n\r\n"), &[(400, "body-incomplete")]),
        ("negative size", post("transfer-encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n"), &[(400, "body-incomplete")]),
        ("valid", get("a: b\r\n"), &[(200, "")]),
        ("valid in HTTP/1.0", "GET /readyz HTTP/1.0\r\n\r\n".into(), &[(200, "")]),
        ("valid chunks", post("transfer-encoding: chunked\r\n", "e\r\n{\"name\":\"chu\"}\r\n0\r\n\r\n"), &[(201, "")]),
    ];
    for (case, sent, expected) in cases {
        judge(&mut rounds, case, client.raw(sent).await, expected);
    }
    Ok(rounds.end(Vec::new()))
}

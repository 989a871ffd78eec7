//! Manifests that are refused, and what they cost.

use std::time::{Duration, Instant};

use super::{Expected, Target, judge};
use crate::agent::rounds::Rounds;
use crate::{Outcome, Result};

/// Time limit of an answer, on a machine that other work keeps busy.
const ANSWER: Duration = Duration::from_secs(20);

/// A document of at most 442 bytes that expands to far more, in one of four shapes.
pub(super) fn bomb(shape: usize) -> String {
    const BYTES: usize = 442;
    let list = |n: usize, count: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); count].join(","));
    let line = |n: usize| match shape % 4 {
        0 => list(n, 7),
        1 => format!("a{n}: &a{n} {{b: *a{0}, c: *a{0}, d: *a{0}}}\n", n - 1),
        2 => format!("a{n}: &a{n} {{<<: [*a{0}, *a{0}, *a{0}], k{n}: *a{0}}}\n", n - 1),
        _ => list(n, 4),
    };
    let first = ["{k: x}", "{k: {l: {m: {n: x}}}}", "{k: x, l: x}", "[[], {}, [x]]"];
    let mut text = format!("a0: &a0 {}\n", first.get(shape % 4).unwrap_or(&"x"));
    for line in (1..).map(line) {
        if text.len() + line.len() > BYTES {
            break;
        }
        text.push_str(&line);
    }
    text
}

pub(super) async fn run(target: &Target) -> Result<Outcome> {
    const BUDGET: Expected<'static> = &[(422, "yaml-budget-exceeded")];
    let mut rounds = Rounds::default();
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let laughs = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |out, n| {
        format!("{out}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
    });
    let big = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 20_000].join(","));
    let many: String =
        (0..5_001).map(|n| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{n}}}\n")).collect();
    let cases: Vec<(&str, String, Expected<'_>)> = vec![
        ("billion laughs", laughs, BUDGET),
        ("anchor of 100 KB", big, BUDGET),
        ("bomb of lists", bomb(0), BUDGET),
        ("bomb of mappings", bomb(1), BUDGET),
        ("bomb of merge keys", bomb(2), BUDGET),
        ("bomb of empty values", bomb(3), BUDGET),
        ("bombs in documents", vec![bomb(0); 50].join("---\n"), BUDGET),
        ("a million brackets", "[".repeat(1_000_000), &[(422, "yaml-too-deep")]),
        ("a million dashes", "- ".repeat(1_000_000), &[(422, "yaml-too-deep")]),
        ("recursive alias", format!("{object}data: &a [*a]\n"), &[(422, "yaml-recursive-alias")]),
        ("duplicate key", format!("{object}kind: Secret\n"), &[(422, "yaml-duplicate-key")]),
        (
            "tag of Python",
            format!("{object}data: !!python/object/apply:os.system [x]\n"),
            &[(422, "yaml-feature-not-allowed")],
        ),
        ("custom tag", format!("{object}data: !x y\n"), &[(422, "yaml-feature-not-allowed")]),
        ("NUL", format!("{object}data: {{a: \"\\0\"}}\n"), &[(422, "text-contains-nul")]),
        ("raw NUL", format!("{object}data: {{a: \0}}\n"), &[(422, "text-contains-nul")]),
        ("infinity", format!("{object}data: {{a: .inf}}\n"), &[(422, "number-out-of-range")]),
        (
            "large integer",
            format!("{object}data: {{a: 99999999999999999999999999}}\n"),
            &[(422, "number-out-of-range")],
        ),
        ("tab", "a:\n\t- b\n".into(), &[(422, "yaml-syntax")]),
        ("unclosed quote", "a: \"b\n".into(), &[(422, "yaml-syntax")]),
        ("empty", String::new(), &[(422, "manifest-empty")]),
        ("comments", "# a\n---\n".into(), &[(422, "manifest-empty")]),
        ("null", "null".into(), &[(422, "manifest-empty")]),
        ("no mapping", "[1]".into(), &[(422, "manifest-invalid")]),
        ("no apiVersion", "kind: ConfigMap".into(), &[(422, "manifest-invalid")]),
        (
            "generateName",
            "{apiVersion: v1, kind: A, metadata: {generateName: a-}}".into(),
            &[(422, "manifest-invalid")],
        ),
        ("same object twice", format!("{object}---\n{object}data: {{a: b}}\n"), &[(422, "manifest-duplicate-object")]),
        (
            "object above 1 MiB",
            format!("{object}data: {{a: {}}}\n", "x".repeat(1024 * 1024)),
            &[(422, "object-too-large")],
        ),
        ("5,001 objects", many, &[(422, "set-too-large")]),
        ("8 MiB of nodes", "- a\n".repeat(2 * 1024 * 1024), BUDGET),
        ("valid", format!("{object}data: {{a: b}}\n"), &[(201, "")]),
    ];
    let path = format!("/api/v1/stacks/{}/deployment-objects", target.stack);
    for (case, text, expected) in cases {
        let began = Instant::now();
        let answer = target.client.call("POST", &path, &[("content-type", "application/yaml")], text.as_bytes()).await;
        judge(&mut rounds, case, answer, expected);
        let took = began.elapsed();
        if took > ANSWER {
            rounds.add(format!("{case}, in time"), vec![format!("answered after {took:?}")]);
        }
    }
    Ok(rounds.end(Vec::new()))
}

//! Generates files from a seed: every class of scalar in every place, streams, lists, tags and anchors.

use std::fmt::Write as _;

use fastrand::Rng;

use super::case::{Case, pick};
use super::files::{encodings, handled, mistyped, samples, shapes};
use super::scalars::{in_line, json_number, plain};

type Make = fn(&mut Rng) -> String;

const CLASSES: [(&str, Make); 14] = [
    ("scalars", scalars),
    ("keys", keys),
    ("JSON numbers", json_numbers),
    ("blocks and folds", blocks),
    ("nulls", nulls),
    ("streams", streams),
    ("lists", lists),
    ("collection tags", collection_tags),
    ("anchors", anchors),
    ("values", values),
    ("metadata", metadata),
    ("samples", samples),
    ("samples in other hands", handled),
    ("samples with typing errors", mistyped),
];

/// Generates this number of files of each class.
pub(super) fn cases(rng: &mut Rng, of_each: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for (class, make) in CLASSES {
        cases.extend((0..of_each).map(|_| (class, make(rng).into_bytes())));
    }
    cases.extend(encodings());
    cases.extend(shapes(rng));
    cases
}

fn head(rng: &mut Rng) -> String {
    format!("apiVersion: v1\nkind: Thing\nmetadata:\n  name: n{}\n", rng.u32(..1000))
}

fn scalars(rng: &mut Rng) -> String {
    let mut text = head(rng);
    match rng.u8(..4) {
        0 => writeln!(text, "spec:\n  a: {}\n  b: x", in_line(rng)),
        1 => writeln!(text, "spec:\n- {}\n-   {}\n-\n  {}", in_line(rng), in_line(rng), in_line(rng)),
        2 => writeln!(text, "spec: [{}, {}]", in_line(rng), in_line(rng)),
        _ => writeln!(text, "spec: {{a: {}, b: {} }}", in_line(rng), in_line(rng)),
    }
    .unwrap();
    text
}

fn keys(rng: &mut Rng) -> String {
    let mut text = head(rng);
    match rng.u8(..4) {
        0 => writeln!(text, "spec:\n  {}: a\n  {}: b", in_line(rng), in_line(rng)),
        1 => writeln!(text, "spec: {{{}: a, {} : b}}", in_line(rng), in_line(rng)),
        2 => writeln!(text, "spec:\n  ? {}\n  : a", in_line(rng)),
        _ => writeln!(text, "spec:\n  - {}: a\n    b: c", plain(rng)),
    }
    .unwrap();
    text
}

fn json_numbers(rng: &mut Rng) -> String {
    let object = |rng: &mut Rng| {
        let (a, b) = (json_number(rng), json_number(rng));
        format!(
            r#"{{"apiVersion":"v1","kind":"Thing","metadata":{{"name":"n{}"}},"spec":[{a},{{"b":{b}}}]}}"#,
            rng.u32(..1000)
        )
    };
    let (first, second) = (object(rng), object(rng));
    match rng.u8(..3) {
        0 => first,
        1 => format!("{first}{second}"),
        _ => format!("---\n{first}\n---\n{second}\n"),
    }
}

fn blocks(rng: &mut Rng) -> String {
    let mut text = head(rng);
    let style = pick(rng, &["|", ">", "|-", ">-", "|+", ">+", "|2", ">1-", "|  # said"]);
    write!(text, "spec:\n  a: {style}\n").unwrap();
    for _ in 0..rng.usize(1..6) {
        let line = pick(
            rng,
            &[
                "    x",
                "    x y",
                "      indented",
                "",
                "    ",
                "    # no comment",
                "    - a",
                "    a: b",
                "    \ttab",
                "    x  ",
                "  \t",
            ],
        );
        writeln!(text, "{line}").unwrap();
    }
    match rng.u8(..5) {
        0 => text.push_str("  b: \"one\n    two\\\n    three\n\n    four\"\n"),
        1 => text.push_str("  b: 'it''s\n\n   two'\n"),
        2 => text.push_str("  b: plain\n    and more\n\n    of it\n"),
        3 => text.push_str("  b: \"\\x41\\u00e9\\U0001F600\\t\\e\\/\\N\\_\\L\\P\\a\\ \"\n"),
        _ => text.truncate(text.trim_end().len()),
    }
    text
}

fn nulls(rng: &mut Rng) -> String {
    let null = |rng: &mut Rng| pick(rng, &["null", "~", "", "Null", "!!null ''", "{}", "[]", "''"]).to_owned();
    let mut text = "apiVersion: v1\nkind: Thing\n".to_owned();
    let (a, b, c, d) = (null(rng), null(rng), null(rng), null(rng));
    match rng.u8(..5) {
        0 => writeln!(text, "metadata:\n  name: a\n  labels: {a}\n  annotations: {b}\n  namespace: {c}\nspec: {d}"),
        1 => writeln!(
            text,
            "metadata:\n  name: a\n  annotations:\n    b: {a}\n    c: {b}\n  labels:\n    d: {c}\nspec: [{d}]"
        ),
        2 => writeln!(
            text,
            "metadata:\n  name: a\n  creationTimestamp: {a}\n  finalizers: {b}\n  generateName: {c}\nstatus: {d}"
        ),
        3 => writeln!(text, "metadata: {a}\nspec: {b}"),
        _ => writeln!(text, "metadata: {{name: a}}\ndata:\n  a: {a}\n  b:\n  - {b}\n  -\n  c: {{d: {c}, e: }}\n{d}: x"),
    }
    .unwrap();
    text
}

fn streams(rng: &mut Rng) -> String {
    let mut text = pick(
        rng,
        &[
            "",
            "",
            "",
            "---\n",
            "# said\n",
            "\u{feff}",
            "\u{feff}---\n",
            "%YAML 1.1\n---\n",
            "\n\n",
            "--- # said\n",
            "  \n",
        ],
    )
    .to_owned();
    for _ in 0..rng.usize(1..5) {
        let name = rng.u32(..6);
        text.push_str(&match rng.u8(..10) {
            0..4 => format!("apiVersion: v1\nkind: Thing\nmetadata: {{name: n{name}}}\n"),
            4 | 5 => format!(r#"{{"apiVersion": "v1", "kind": "Thing", "metadata": {{"name": "n{name}"}}}}"#),
            6 => format!("{{apiVersion: v1, kind: Thing, metadata: {{name: n{name}}}}}\n"),
            7 => pick(rng, &["null\n", "~\n", "", "# only said\n", "{}\n", "[]\n", "x\n", "{\n", "1\n"]).to_owned(),
            _ => format!("apiVersion: v1\nkind: Thing\nmetadata:\n  name: n{name}\ndata:\n  a: |\n    ---\n    b\n"),
        });
        let separators = [
            "---\n",
            "---\n",
            "\n---\n",
            "---\r\n",
            "--- \n",
            "--- # said\n",
            "---\t\n",
            "---#said\n",
            "---\n---\n",
            "...\n---\n",
            "...\n",
            "\n",
            "",
            "---\n\u{feff}",
            "\u{feff}---\n",
            "----\n",
            "--- x\n",
            " ---\n",
            "---\n# said\n",
            "--- |\n",
            "\n\n",
            "# said\n",
            " # c\n",
        ];
        text.push_str(pick(rng, &separators));
    }
    text
}

fn lists(rng: &mut Rng) -> String {
    let kind = pick(rng, &["List", "ThingList", "Thing", "ThingListList", "", "PodList"]);
    let mut text = format!("apiVersion: v1\nkind: {kind}\n");
    text.push_str(pick(
        rng,
        &["", "metadata: {}\n", "metadata: {resourceVersion: ''}\n", "metadata: {name: l}\n", "metadata:\n"],
    ));
    let bodies = ["items: []\n", "items:\n", "items: {}\n", "items: x\n", "items: ~\n"];
    if rng.u8(..4) == 0 {
        text.push_str(pick(rng, &bodies));
        return text;
    }
    text.push_str("items:\n");
    for _ in 0..rng.usize(1..4) {
        let name = rng.u32(..5);
        text.push_str(&match rng.u8(..9) {
            0 | 1 => format!("- metadata: {{name: n{name}}}\n"),
            2 | 3 => format!("- apiVersion: v1\n  kind: Thing\n  metadata: {{name: n{name}}}\n"),
            4 => format!("- kind: Thing\n  metadata: {{name: n{name}}}\n"),
            5 => format!("- apiVersion: v1\n  metadata: {{name: n{name}}}\n"),
            6 => format!("- apiVersion: v1\n  kind: List\n  items: [{{metadata: {{name: n{name}}}}}]\n"),
            7 => format!("- apiVersion: ''\n  kind:\n  metadata: {{name: n{name}}}\n"),
            _ => pick(
                rng,
                &[
                    "-\n",
                    "- x\n",
                    "- {}\n",
                    "- []\n",
                    "- {apiVersion: v1, kind: Thing, metadata: {name: i}, items: }\n",
                ],
            )
            .to_owned(),
        });
    }
    text
}

fn collection_tags(rng: &mut Rng) -> String {
    let tags = [
        "!!map",
        "!!seq",
        "!!set",
        "!!omap",
        "!!pairs",
        "!!str",
        "!",
        "!custom",
        "!!python/object/apply:os.system",
        "!<tag:yaml.org,2002:map>",
    ];
    let tag = pick(rng, &tags);
    let value = pick(rng, &["{a: b}", "[a, b]", "\n    a: b", "\n  - a", "{a, b}", "x", "''", ""]);
    format!("{}spec:\n  v: {tag} {value}\n", head(rng))
}

fn anchors(rng: &mut Rng) -> String {
    let specs = [
        "spec: {a: &a {b: 1, c: 2}, d: *a}",
        "spec: {a: &a {b: 1, c: 2}, d: {<<: *a, c: 3}}",
        "spec: {a: &a {b: 1, c: 2}, d: {c: 3, <<: *a}}",
        "spec: {a: &a {b: 1}, c: &c {b: 2, d: 3}, e: {<<: [*a, *c]}, f: {<<: *c, <<: *a}}",
        "spec:\n  a: &a\n    b: 1\n  c:\n    <<: *a\n    d:\n      <<: {e: 1}",
        "spec: {a: &a [1, 2], b: *a, c: [*a]}",
        "spec: {a: &a yes, b: *a, c: 'yes', d: {*a : x}}",
        "spec: {&a 0640: x, b: *a, c: {*a : y}}",
        "spec: {&a k: &b v, x: *a, *b : *b}",
        "spec: &a [*a]",
        "spec: &a {<<: *a}",
        "spec: &a {b: &c {d: *a}}",
        "spec: *missing",
        "spec: {a: &a 1, b: *a, c: &a 2, d: *a}",
        "spec: {<<: [a]}",
        "spec: {<<: }",
        "spec: {<<: x}",
        "spec: {a: &a [{b: 1}], <<: *a}",
        "spec: {a: &a x, <<: *a}",
        "spec: {<<: []}",
        "spec: {<<: [[{a: 1}]]}",
        "spec: {\"<<\": {a: 1}}",
        "spec: {'<<': 1, <<: {a: 1}}",
        "spec: {!!merge <<: {a: 1}}",
        "spec: {!!str <<: {a: 1}}",
        "spec: {a: &anchor-with.signs 1, b: *anchor-with.signs }",
        "spec: {a: &a, b: *a }",
        "spec:\n- &a x\n- *a\n- - *a\n- b: *a",
        "spec:\n  ? &a k\n  : *a\n",
        "spec: {a: &a {b: c}, *a : d}",
        "spec: {<<: {a: 1, b: {c: 1}}, b: {d: 2}}",
        "x-common: &common\n  a: yes\n  0x10: b\nspec:\n  <<: *common\n  a: no",
    ];
    let padding = match rng.u8(..3) {
        0 => format!("x: &x{} {}\n", rng.u8(..10), in_line(rng)),
        1 => format!("x: {{<<: {{a: {}, b: {}}}, a: {}}}\n", in_line(rng), in_line(rng), in_line(rng)),
        _ => String::new(),
    };
    format!("{}{padding}{}\n", head(rng), pick(rng, &specs))
}

fn values(rng: &mut Rng) -> String {
    let mut text = head(rng);
    text.push_str("spec:");
    value(rng, &mut text, 2, 4);
    text
}

/// A value after a key or a dash, in block or flow style.
fn value(rng: &mut Rng, text: &mut String, indent: usize, levels: usize) {
    let pad = " ".repeat(indent);
    match rng.u8(..if levels == 0 { 4 } else { 9 }) {
        0..3 => writeln!(text, " {}", in_line(rng)).unwrap(),
        3 => writeln!(text, " {} # said", in_line(rng)).unwrap(),
        4 => {
            text.push(' ');
            flow(rng, text, levels);
            text.push('\n');
        }
        5 | 6 => {
            text.push('\n');
            let step = pick(rng, &["", "  "]);
            for _ in 0..rng.usize(1..4) {
                write!(text, "{pad}{step}-").unwrap();
                value(rng, text, indent + 2 + step.len(), levels - 1);
            }
        }
        _ => {
            text.push('\n');
            for n in 0..rng.usize(1..4) {
                write!(text, "{pad}k{n}{}:", if rng.u8(..6) == 0 { plain(rng) } else { String::new() }).unwrap();
                let deeper = indent + rng.usize(1..4);
                value(rng, text, deeper, levels - 1);
            }
        }
    }
}

fn flow(rng: &mut Rng, text: &mut String, levels: usize) {
    let space = pick(rng, &["", " ", "\n      ", " # said\n      "]);
    if levels == 0 || rng.u8(..3) == 0 {
        text.push_str(&in_line(rng));
        return;
    }
    let is_map = rng.bool();
    text.push(if is_map { '{' } else { '[' });
    let last = rng.usize(..3);
    for n in 0..=last {
        text.push_str(space);
        if is_map {
            text.push_str(&match rng.u8(..8) {
                0 => format!("\"k{n}\":"),
                1 => format!("'k{n}' : "),
                2 => format!("k{n}:"),
                3 => format!("? k{n} : "),
                _ => format!("k{n}: "),
            });
        }
        flow(rng, text, levels - 1);
        if n < last || rng.u8(..8) == 0 {
            text.push(',');
        }
    }
    text.push_str(space);
    text.push(if is_map { '}' } else { ']' });
}

fn metadata(rng: &mut Rng) -> String {
    let fields = [
        "labels: {a: b}",
        "labels: {a: 1}",
        "labels: {a: yes}",
        "annotations: {a: '1'}",
        "annotations: {a: 0640}",
        "annotations: {9000: a}",
        "annotations: [a]",
        "labels: x",
        "namespace: default",
        "namespace: 1",
        "uid: abc",
        "uid: 5",
        "resourceVersion: '7'",
        "generation: 3",
        "generation: x",
        "creationTimestamp: null",
        "creationTimestamp: 2020-01-01T00:00:00Z",
        "creationTimestamp: soon",
        "managedFields: []",
        "managedFields: [{manager: x}]",
        "finalizers: [a/b]",
        "finalizers: a",
        "ownerReferences: []",
        "ownerReferences: [{kind: A}]",
        "generateName: a-",
        "selfLink: /a",
        "deletionTimestamp: null",
        "unknown: x",
        "name: b",
        "name: 5",
        "name: ''",
        "name: A_b",
        "name: a/b",
    ];
    let mut text = format!(
        "apiVersion: {}\nkind: {}\n",
        pick(rng, &["v1", "apps/v1", "apps/v1", "1", "a/b/c", "", "v1 "]),
        pick(rng, &["Thing", "Thing", "Thing", "5", "a-b", ""])
    );
    text.push_str("metadata:\n  name: a\n");
    for _ in 0..rng.usize(..3) {
        writeln!(text, "  {}", pick(rng, &fields)).unwrap();
    }
    text.push_str(pick(rng, &["", "status: {}\n", "status: {a: 1}\n", "spec: {}\n", "data: {a: b}\n"]));
    text
}

use serde_json::json;

use crate::error::excerpt;
use crate::manifest::yaml::*;

fn documents(text: &str) -> Result<Vec<Value>, Invalid> {
    let mut documents = Vec::new();
    read(text.as_bytes(), &mut Warnings::default(), |document, _| {
        documents.push(document);
        Ok(())
    })?;
    Ok(documents)
}

fn one(text: &str) -> Value {
    documents(text).unwrap_or_else(|error| panic!("{text}: {error}")).remove(0)
}

fn code(text: &str) -> Option<InvalidCode> {
    documents(text).err().map(|error| error.code)
}

fn warnings(text: &str) -> Vec<String> {
    let mut warnings = Warnings::default();
    read(text.as_bytes(), &mut warnings, |_, _| Ok(())).unwrap_or_else(|error| panic!("{text}: {error}"));
    warnings.into_texts()
}

/// Small invalid documents, with the expected error.
const REFUSED: &[(&str, InvalidCode)] = &[
    ("&a [*a]", InvalidCode::YamlRecursiveAlias),
    ("&a {<<: *a}", InvalidCode::YamlRecursiveAlias),
    ("*a", InvalidCode::YamlSyntax),
    ("a: *a", InvalidCode::YamlSyntax),
    ("kind: ConfigMap\nkind: Secret", InvalidCode::YamlDuplicateKey),
    ("a: {b: 1, \"b\": 2}", InvalidCode::YamlDuplicateKey),
    ("{\"b\": 1, \"b\": 2}", InvalidCode::YamlDuplicateKey),
    ("{8: a, 010: b}", InvalidCode::YamlDuplicateKey),
    ("{1: a, \"1\": b}", InvalidCode::YamlDuplicateKey),
    ("{true: a, yes: b}", InvalidCode::YamlDuplicateKey),
    ("{<<: {a: 1}, a: 2, a: 3}", InvalidCode::YamlDuplicateKey),
    ("a: !!python/object/apply:os.system [x]", InvalidCode::YamlFeatureNotAllowed),
    ("a: !custom x", InvalidCode::YamlFeatureNotAllowed),
    ("a: !<tag:example.com,2000:x> x", InvalidCode::YamlFeatureNotAllowed),
    ("a: !!set {b}", InvalidCode::YamlFeatureNotAllowed),
    ("a: !!omap [b]", InvalidCode::YamlFeatureNotAllowed),
    ("a: !!seq {b: c}", InvalidCode::YamlFeatureNotAllowed),
    ("a: !!map x", InvalidCode::YamlFeatureNotAllowed),
    ("a: !!int x", InvalidCode::YamlSyntax),
    ("a: !!binary .", InvalidCode::YamlSyntax),
    ("a: !!binary /w==", InvalidCode::YamlFeatureNotAllowed),
    ("a: !!binary AA==", InvalidCode::TextContainsNul),
    ("a: \"\\0\"", InvalidCode::TextContainsNul),
    ("\"\\0\": a", InvalidCode::TextContainsNul),
    ("{\"a\": \"\\u0000\"}", InvalidCode::TextContainsNul),
    ("a: \0", InvalidCode::TextContainsNul),
    ("a: \u{1}", InvalidCode::YamlSyntax),
    ("a: \u{7f}", InvalidCode::YamlSyntax),
    ("a: \u{ffff}", InvalidCode::YamlSyntax),
    ("a: b\u{85}c", InvalidCode::YamlFeatureNotAllowed),
    ("a: b\u{2028}c", InvalidCode::YamlFeatureNotAllowed),
    ("a: b\n\u{feff}c: d", InvalidCode::YamlSyntax),
    ("a: b\n---\n\u{feff}\u{feff}c: d", InvalidCode::YamlSyntax),
    ("a: \"\\/\"", InvalidCode::YamlSyntax),
    ("a: &b.c d", InvalidCode::YamlSyntax),
    ("{a: [b:, c]}", InvalidCode::YamlSyntax),
    ("{path: /healthz?full}", InvalidCode::YamlSyntax),
    ("{a: b}\n{c: d}", InvalidCode::YamlSyntax),
    ("a:\n\t- b", InvalidCode::YamlSyntax),
    ("a: \"unclosed", InvalidCode::YamlSyntax),
    ("a: [x\n", InvalidCode::YamlSyntax),
    ("%YAML 1.1\n---\na: b", InvalidCode::YamlSyntax),
    ("a: b\n---\n%YAML 1.1\n---\na: b", InvalidCode::YamlSyntax),
    ("--- {a: b}", InvalidCode::YamlSyntax),
    ("a: b\n...\nc: d", InvalidCode::YamlFeatureNotAllowed),
    ("{~: a}", InvalidCode::YamlFeatureNotAllowed),
    ("{18446744073709551615: a}", InvalidCode::YamlFeatureNotAllowed),
    ("{{ template }}: a", InvalidCode::YamlFeatureNotAllowed),
    ("? [a]\n: b", InvalidCode::YamlFeatureNotAllowed),
    ("{a: &a [b], *a : c}", InvalidCode::YamlFeatureNotAllowed),
    ("{<<: }", InvalidCode::YamlFeatureNotAllowed),
    ("{<<: [a]}", InvalidCode::YamlFeatureNotAllowed),
    ("{a: &a [{b: c}], <<: *a}", InvalidCode::YamlFeatureNotAllowed),
    ("{a: &a [{b: c}], <<: [*a]}", InvalidCode::YamlFeatureNotAllowed),
    ("a: 18446744073709551615", InvalidCode::NumberOutOfRange),
    ("a: 0xffffffffffffffff", InvalidCode::NumberOutOfRange),
    ("a: 99999999999999999999999999", InvalidCode::NumberOutOfRange),
    ("a: 9007199254740993.0", InvalidCode::NumberOutOfRange),
    ("a: .inf", InvalidCode::NumberOutOfRange),
    ("a: .nan", InvalidCode::NumberOutOfRange),
    ("{\"a\": 1e999}", InvalidCode::NumberOutOfRange),
    ("{\"a\": 18446744073709551615}", InvalidCode::NumberOutOfRange),
];

#[test]
fn hostile_document_is_refused() {
    let laughs = (1..10).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |out, n| {
        let refs = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{out}a{n}: &a{n} [{refs}]\n")
    });
    let big = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 20_000].join(","));
    let deep = (1..10).fold("a0: &a0 [[[[[[[[x]]]]]]]]\n".to_owned(), |out, n| {
        format!("{out}a{n}: &a{n} [[[[[[[[*a{}]]]]]]]]\n", n - 1)
    });
    for (text, expected) in [
        (laughs.as_str(), InvalidCode::YamlBudgetExceeded),
        (&big, InvalidCode::YamlBudgetExceeded),
        (&deep, InvalidCode::YamlTooDeep),
        (&"---\n".repeat(5 * limits::OBJECTS), InvalidCode::YamlBudgetExceeded),
        (&"[".repeat(1_000_000), InvalidCode::YamlTooDeep),
        (&"- ".repeat(1_000_000), InvalidCode::YamlTooDeep),
        (&"{\"a\":".repeat(1_000_000), InvalidCode::YamlTooDeep),
        (&format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100)), InvalidCode::YamlTooDeep),
    ]
    .into_iter()
    .chain(REFUSED.iter().copied())
    {
        assert_eq!(code(text), Some(expected), "{}", excerpt(text));
    }
    assert_eq!(code(&format!("a: {}1", "[".repeat(limits::DEPTH - 1))), Some(InvalidCode::YamlSyntax), "not too deep");
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(code(&nested(limits::DEPTH)), None);
    assert_eq!(code(&nested(limits::DEPTH + 1)), Some(InvalidCode::YamlTooDeep));
    let aliased = |levels: usize| format!("- &a {}\n- [*a]", nested(levels));
    assert_eq!(code(&aliased(limits::DEPTH - 2)), None);
    assert_eq!(code(&aliased(limits::DEPTH - 1)), Some(InvalidCode::YamlTooDeep));
}

#[test]
fn alias_expansion_is_limited() {
    // The anchored sequence has 100 nodes, so the document has 102 nodes itself.
    let nodes = |aliases: usize| format!("- &a [{}]\n- [{}]", vec!["x"; 99].join(","), vec!["*a"; aliases].join(","));
    let most = (limits::YAML_ALIAS_NODES + 102 * limits::YAML_ALIAS_FACTOR) / 100;
    assert_eq!(code(&nodes(most)), None);
    assert_eq!(code(&nodes(most + 1)), Some(InvalidCode::YamlBudgetExceeded));
    let parted = |documents: usize, aliases: usize| vec![nodes(aliases); documents].join("\n---\n");
    assert_eq!(code(&parted(2, most / 2)), None);
    assert_eq!(code(&parted(2, most)), Some(InvalidCode::YamlBudgetExceeded), "of all documents together");
    let bytes = |aliases: usize| format!("- &a {}\n- [{}]", "x".repeat(1024), vec!["*a"; aliases].join(","));
    let most = limits::YAML_ALIAS_BYTES / 1024 + limits::YAML_ALIAS_FACTOR;
    assert_eq!(code(&bytes(most)), None);
    assert_eq!(code(&bytes(most + 1)), Some(InvalidCode::YamlBudgetExceeded));
    // Nesting multiplies: ten aliases in each of four levels.
    let nested = |levels: usize, aliases: usize| {
        (1..=levels).fold("a0: &a0 [x]\n".to_owned(), |out, n| {
            format!("{out}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); aliases].join(","))
        })
    };
    assert_eq!(code(&nested(3, 10)), None);
    assert_eq!(code(&nested(4, 10)), Some(InvalidCode::YamlBudgetExceeded));
    assert_eq!(code(&nested(60, 1)), None, "each alias adds one node more than the one before");
    // Merge keys copy as aliases do; anchored keys add their text.
    let merged = |levels: usize| {
        (1..=levels).fold("a0: &a0 {k0: x, l0: x, m0: x}\n".to_owned(), |out, n| {
            let sources = vec![format!("*a{}", n - 1); 8].join(",");
            format!("{out}a{n}: &a{n} {{<<: [{sources}], k{n}: x}}\n")
        })
    };
    assert_eq!(code(&merged(3)), None);
    assert_eq!(code(&merged(6)), Some(InvalidCode::YamlBudgetExceeded));
    let keys = |aliases: usize| format!("&k {}: x\nb: [{}]", "k".repeat(1000), vec!["{*k : x}"; aliases].join(","));
    assert_eq!(code(&keys(1000)), None);
    assert_eq!(code(&keys(1100)), Some(InvalidCode::YamlBudgetExceeded));
}

/// What a bomb costs before it is refused: its own nodes, and no value.
#[test]
fn alias_bomb_is_refused_before_its_values_exist() {
    let bomb = (1..13).fold("a0: &a0 {k: x}\n".to_owned(), |out, n| {
        format!("{out}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 5].join(","))
    });
    assert!(bomb.len() < 442, "{}", bomb.len());
    let mut total = tree::Total::default();
    let document = stream::Document { text: &bomb, first_line: 1, is_json: false };
    let refused = tree::read(&document, &mut total, &mut Warnings::default()).map(|nodes| nodes.len());
    assert_eq!(refused.map_err(|error| error.code), Err(InvalidCode::YamlBudgetExceeded));
    let passed = std::cell::Cell::new(0);
    let many = [bomb.as_str(); 3].join("---\n");
    let answer = read(format!("a: x\n---\n{many}").as_bytes(), &mut Warnings::default(), |_, _| {
        passed.set(passed.get() + 1);
        Ok(())
    });
    assert_eq!((answer.map_err(|error| error.code), passed.get()), (Err(InvalidCode::YamlBudgetExceeded), 1));
}

#[test]
fn written_nodes_are_limited() {
    // Two sequences and their scalars.
    let written = |count: usize| format!("- [{}]", vec!["x"; count - 2].join(","));
    assert_eq!(code(&written(limits::YAML_NODES)), None);
    assert_eq!(code(&written(limits::YAML_NODES + 1)), Some(InvalidCode::YamlBudgetExceeded));
    let json = format!("{{\"a\":[{}1]}}", "1,".repeat(limits::YAML_NODES / 2));
    assert_eq!(code(&json), None);
    assert_eq!(code(&format!("{json}{json}")), Some(InvalidCode::YamlBudgetExceeded));
}

#[test]
fn valid_documents_are_parsed() {
    let text = "# comment\n---\na: &x {b: [1, 0.5, true, True, null, ~, 0x1f, 1e3, 5-3, v1.2, 10.0.0.0/24, 2020-01-01]}\nc: *x\n---\n---\nd: |\n  no\n";
    let read = documents(text).expect("fine");
    assert_eq!(read.len(), 2);
    assert_eq!(read[0]["a"], read[0]["c"]);
    assert_eq!(read[1]["d"], "no\n");
    let expected = json!([1, 0.5, true, true, null, null, 31, 1000, "5-3", "v1.2", "10.0.0.0/24", "2020-01-01"]);
    assert_eq!(read[0]["a"]["b"], expected);
    for text in ["127.0.0.1:8080", "8080:80", "22:22", "12:30:00", "1:90", "1.5:30", "12:30:4x", "1e999"] {
        assert_eq!(one(&format!("a: {text}")), json!({"a": text}));
        assert_eq!(one(&format!("a: \"{text}\"")), json!({"a": text}));
    }
    for place in ["a:\n", "a:\n- ", "a: [\n", "a:\n  b: c\n"] {
        let commented = format!("{place}{}\n", "  # said\n".repeat(10_000));
        let text = if place.ends_with("[\n") { format!("{commented}]") } else { commented };
        assert_eq!(code(&text), None, "{place}");
    }
    for empty in ["", "# only\n---\n", "---\n---\n", "null", "~", "\u{feff}", "--- # comment"] {
        assert_eq!(documents(empty), Ok(vec![]), "{empty}");
    }
}

#[test]
fn values_match_those_of_kubectl() {
    for (text, expected) in [
        (
            "{a: no, b: yes, c: 0640, d: 08, e: 1_000, f: -0, g: 1.0}",
            json!({"a": false, "b": true, "c": 416, "d": 8, "e": 1000, "f": 0, "g": 1}),
        ),
        (
            "{a: 'no', b: \"0640\", c: !!str 12, d: ! 12, e: !!int \"0x10\"}",
            json!({"a": "no", "b": "0640", "c": "12", "d": "12", "e": 16}),
        ),
        (
            "{a: !!binary aGk=, b: !!null '', c: !!float 1, d: !!bool 'on'}",
            json!({"a": "hi", "b": null, "c": 1, "d": true}),
        ),
        ("{a: !!map {b: c}, d: !!seq [e], f: ! [g]}", json!({"a": {"b": "c"}, "d": ["e"], "f": ["g"]})),
        (
            "{9000: a, 3.14: b, true: c, 0640: d, 2020-01-01: e}",
            json!({"9000": "a", "3.14": "b", "true": "c", "416": "d", "2020-01-01": "e"}),
        ),
        (
            "{&a b: c, d: *a, e: {*a : f}, &g 1.0e6: h, i: *g}",
            json!({"b": "c", "d": "b", "e": {"b": "f"}, "1e+06": "h", "i": 1_000_000}),
        ),
        ("{a: &a {b: 1, c: 2}, d: {<<: *a, c: 3}}", json!({"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}})),
        ("{a: {c: 3, <<: {b: 1, c: 2}}}", json!({"a": {"b": 1, "c": 2}})),
        ("{a: {<<: [{b: 1}, {b: 2, c: 2}], <<: {d: 4}}}", json!({"a": {"b": 1, "c": 2, "d": 4}})),
        ("{a: {<<: {<<: {b: 1}, c: 2}}}", json!({"a": {"b": 1, "c": 2}})),
        ("{a: {\"<<\": 1, b: <<}}", json!({"a": {"<<": 1, "b": "<<"}})),
        ("{a: &a 1, b: *a, c: &a 2, d: *a}", json!({"a": 1, "b": 1, "c": 2, "d": 2})),
        ("a: |\r\n  b\r\n  c", json!({"a": "b\nc\n"})),
        ("a: |\r\r\n  b\rc: d", json!({"a": "b\n", "c": "d"})),
        ("{a: [b:c, 'd':e, f: {}, \"g\":[h]]}", json!({"a": ["b:c", {"d": "e"}, {"f": {}}, {"g": ["h"]}]})),
        ("a: /x?y=z\nb: :c\n? d\n: e", json!({"a": "/x?y=z", "b": ":c", "d": "e"})),
        ("a: {}\nb: []\nc:\nd: ''", json!({"a": {}, "b": [], "c": null, "d": ""})),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
    let stream = "{\"a\": 1}{\"a\": 1.0}\n{\"a\": \"\u{2028}\"}";
    assert_eq!(documents(stream), Ok(vec![json!({"a": 1}), json!({"a": 1}), json!({"a": "\u{2028}"})]));
    assert_eq!(documents("\u{feff}{\"a\": 1}\n---\nb: 2"), Ok(vec![json!({"a": 1}), json!({"b": 2})]));
    assert_eq!(documents("a: 1\n---\n\u{feff}b: 2"), Ok(vec![json!({"a": 1}), json!({"b": 2})]));
    assert_eq!(documents("a: 1\n...\n---\nb: 2\n...\n# end\n"), Ok(vec![json!({"a": 1}), json!({"b": 2})]));
}

#[test]
fn surprising_value_has_a_warning_with_line() {
    for (text, expected) in [
        ("a: 1\n---\nb: 2\nmode: 0640", "line 4: 0640 is read as octal, the number 416; write 416 or quote it"),
        ("a: -0x1F", "line 1: -0x1F is read as hexadecimal, the number -31; write -31 or quote it"),
        ("a: 0b11", "line 1: 0b11 is read as binary, the number 3; write 3 or quote it"),
        ("a: 1_000", "line 1: 1_000 is read as the number 1000; write 1000 or quote it"),
        ("a: +5", "line 1: +5 is read as the number 5; write 5 or quote it"),
        ("a: 08", "line 1: 08 is read as the number 8; quote it if it is a string"),
        ("a: 1.10", "line 1: 1.10 is read as the number 1.1; quote it if it is a string"),
        ("a: 123e4", "line 1: 123e4 is read as the number 1230000; quote it if it is a string"),
        ("a: yes", "line 1: yes is read as the boolean true; write true or quote it"),
        ("a:\n- Off", "line 2: Off is read as the boolean false; write false or quote it"),
        ("a: 85e7724", "line 1: 85e7724 is too large for a number and is read as a string; quote it"),
        ("9000: a", "line 1: the key 9000 is read as a number and becomes the string \"9000\"; quote it"),
        ("y: a", "line 1: the key y is read as a boolean and becomes the string \"true\"; quote it"),
        ("1000000.0: a", "line 1: the key 1000000.0 is read as a number and becomes the string \"1e+06\"; quote it"),
        (
            "a: &a {b: c}\nd:\n  <<: *a",
            "line 3: << is read as the merge key of YAML 1.1: the keys of its value are copied",
        ),
        (
            "a: 0.1234567890123456789",
            "line 1: 0.1234567890123456789 is read as the number 0.12345678901234568, which has fewer digits; quote it to keep all",
        ),
    ] {
        assert_eq!(warnings(text), [expected], "{text}");
    }
    let text = "a: {b: 1, <<: {b: 2}}";
    let replaced = "line 1: << replaces the value of the key b, which precedes it; put << first";
    assert_eq!(warnings(text).last().map(String::as_str), Some(replaced));
    assert_eq!(warnings("a: {<<: {b: 2}, b: 1}").len(), 1, "a key after the merge overrides it as intended");
    for quiet in [
        "a: 0",
        "a: 416",
        "a: -1.5",
        "a: true",
        "a: True",
        "a: null",
        "a: ~",
        "a: '0640'",
        "a: |\n  yes",
        "a: !!int 0640",
        "a: 12:30:00",
        "a: 2020-01-01",
        "a: x",
    ] {
        assert_eq!(warnings(quiet), Vec::<String>::new(), "{quiet}");
    }
    let many = warnings(&"- 0640\n".repeat(limits::WARNINGS + 5));
    assert_eq!((many.len(), many.last().map(String::as_str)), (limits::WARNINGS + 1, Some("and 5 more")));
    let aliased = warnings("a: &a 0640\nb: [*a, *a, *a]");
    assert_eq!(aliased.len(), 1, "aliases do not repeat warnings");
}

#[test]
fn error_names_the_line_of_the_input() {
    for (text, line) in [
        ("a: 1\n---\nb: 2\nb: 3", "line 4"),
        ("a: 1\n---\n\n---\nb: [", "line 5"),
        ("{\"a\": 1}\n{\"a\": 1,\n\"a\": 2}", "line 3"),
        ("{\"a\": 1}\n{\"b\":\n18446744073709551615}", "line 3"),
        ("a: 1\n---\nb: \u{1}", "line 3"),
    ] {
        let error = documents(text).expect_err(text);
        assert!(error.message.contains(line), "{text}: {}", error.message);
    }
}

//! YAML under a budget.
//!
//! Two passes: the events are looked at first, for what a value no longer shows (custom tags, and plain scalars
//! that YAML versions read differently); then the documents are read with every limit of the reader set.

use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle};
use serde_saphyr::{DuplicateKeyPolicy, Error, ExternalMessageSource, MergeKeyPolicy, NonFiniteFloatPolicy, Options};

use super::strict::{BAD_NUMBER, DUPLICATE_KEY, Strict, check_texts};
use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::limits;

/// Reads a stream of YAML documents; empty ones are left out.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Value>, Invalid> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Invalid::new(InvalidCode::BodyNotUtf8, "the body is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\0') {
        return Err(Invalid::new(InvalidCode::TextContainsNul, "the body contains NUL"));
    }
    look_at_events(text)?;
    let documents: Vec<Strict> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| refusal(&error))?;
    let documents: Vec<Value> = documents.into_iter().map(|Strict(value)| value).collect();
    for (n, document) in documents.iter().enumerate() {
        check_texts(document, InvalidCode::YamlTooDeep).map_err(|error| error.within(&n.to_string()))?;
    }
    Ok(documents)
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4 * limits::YAML_NODES,
            max_nodes: limits::YAML_NODES,
            max_depth: limits::DEPTH + 2,
            max_documents: 2 * limits::OBJECTS,
            max_total_scalar_bytes: limits::YAML_SCALAR_BYTES,
            flow_nesting_limit: limits::DEPTH + 2,
            // What aliases expand to is bounded above; that many name one anchor is nothing bad.
            enforce_alias_anchor_ratio: false,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        legacy_octal_numbers: false,
        no_schema: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        // Else a limited number of them in a row.
        emit_comments: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: limits::YAML_NODES,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 10_000,
        },
    }
}

fn look_at_events(text: &str) -> Result<(), Invalid> {
    let limits = granit_parser::options! {
        emit_comments: false,
        disallow_directives: true,
        flow_nesting_limit: limits::DEPTH + 2,
        block_nesting_limit: limits::DEPTH + 2,
    };
    let mut events = 0;
    for event in Parser::new_from_str_with_options(text, limits) {
        let (event, span) = event.map_err(|error| {
            if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
                return too_deep();
            }
            let marker = error.marker();
            syntax(marker.line(), marker.col() + 1)
        })?;
        events += 1;
        if events > 4 * self::limits::YAML_NODES {
            return Err(budget());
        }
        let place = format!("line {}, column {}", span.start.line(), span.start.col() + 1);
        if event.tag().is_some_and(|tag| tag.is_custom()) {
            return Err(Invalid::new(
                InvalidCode::YamlFeatureNotAllowed,
                format!("the tag at {place} is not allowed; manifests are plain values"),
            ));
        }
        if let Event::Scalar(value, ScalarStyle::Plain, _, None) = &event {
            check_plain(value, &place)?;
        }
    }
    Ok(())
}

/// Refuses a plain scalar that YAML 1.1 and YAML 1.2, or this reader and that of Kubernetes, take for
/// different values.
fn check_plain(text: &str, place: &str) -> Result<(), Invalid> {
    let ambiguous = || {
        Invalid::new(
            InvalidCode::YamlAmbiguousScalar,
            format!(
                "{} at {place} means different things to different readers; quote it, or write a decimal number",
                excerpt(text)
            ),
        )
    };
    let out_of_range = || {
        Invalid::new(InvalidCode::NumberOutOfRange, format!("the number at {place} cannot be kept exactly; quote it"))
    };
    // Nothing longer is a word or a number that anybody would mistake.
    if text.len() > 400 {
        return Ok(());
    }
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "y" | "n" | "yes" | "no" | "on" | "off" => return Err(ambiguous()),
        "true" | "false" | "null" => {
            let usual = text == lower || text == lower.to_ascii_uppercase() || text[1..] == lower[1..];
            return if usual { Ok(()) } else { Err(ambiguous()) };
        }
        _ => {}
    }
    let digits = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    if matches!(digits, ".inf" | ".nan") {
        return Err(out_of_range());
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(());
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        let is_number = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
        return if is_number && u64::from_str_radix(hex, 16).is_err() { Err(out_of_range()) } else { Ok(()) };
    }
    let all = |text: &str, allowed: fn(u8) -> bool| !text.is_empty() && text.bytes().all(allowed);
    let radix = digits.strip_prefix("0o").or_else(|| digits.strip_prefix("0b"));
    if radix.is_some_and(|rest| all(rest, |b| b.is_ascii_digit() || b == b'_')) || is_sexagesimal(digits) {
        return Err(ambiguous());
    }
    let Ok(number) = digits.replace('_', "").parse::<f64>() else {
        return Ok(());
    };
    if digits.contains('_') || (digits.len() > 1 && digits.starts_with('0') && all(digits, |b| b.is_ascii_digit())) {
        return Err(ambiguous());
    }
    let is_integer = all(digits, |b| b.is_ascii_digit());
    let fits = if lower.starts_with('-') { text.parse::<i64>().is_ok() } else { digits.parse::<u64>().is_ok() };
    if number.is_infinite() || (is_integer && !fits) || (lower.starts_with('-') && number == 0.0) {
        return Err(out_of_range());
    }
    Ok(())
}

/// Whether YAML 1.1 takes digits for a number to the base 60 (its types `int` and `float`): `1:30`, but not `127.0.0.1:80`.
fn is_sexagesimal(digits: &str) -> bool {
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else {
        return false;
    };
    let sixtieth = |part: &str| {
        (1..=2).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse().is_ok_and(|n: u8| n < 60)
    };
    let (whole, fraction) = last.split_once('.').unwrap_or((last, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    !first.is_empty()
        && is_number(first)
        && middle.iter().all(|part| sixtieth(part))
        && sixtieth(whole)
        && is_number(fraction)
}

fn syntax(line: usize, column: usize) -> Invalid {
    Invalid::new(InvalidCode::YamlSyntax, format!("not YAML at line {line}, column {column}"))
}

fn too_deep() -> Invalid {
    Invalid::new(InvalidCode::YamlTooDeep, format!("nests deeper than {} levels", limits::DEPTH))
}

fn budget() -> Invalid {
    Invalid::new(InvalidCode::YamlBudgetExceeded, "the documents expand to more than a set of manifests may hold")
}

/// The reader's error in our own words.
fn refusal(error: &Error) -> Invalid {
    let mut error = error;
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    let place =
        error.location().map_or_else(String::new, |at| format!(" at line {}, column {}", at.line(), at.column()));
    let new = |code, message: &str| Invalid::new(code, format!("{message}{place}"));
    let said = error.to_string();
    match error {
        Error::DuplicateMappingKey { .. } => new(InvalidCode::YamlDuplicateKey, "a key stands twice"),
        _ if said.contains(DUPLICATE_KEY) => new(InvalidCode::YamlDuplicateKey, "a key stands twice"),
        _ if said.contains(BAD_NUMBER) => {
            new(InvalidCode::NumberOutOfRange, "a number cannot be kept exactly; quote it:")
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => too_deep(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => budget(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            new(InvalidCode::YamlRecursiveAlias, "an alias contains itself")
        }
        Error::UnsupportedTag { .. } => new(InvalidCode::YamlFeatureNotAllowed, "a tag is not allowed"),
        Error::NonFiniteFloat { .. } => {
            new(InvalidCode::NumberOutOfRange, "a number cannot be kept exactly; quote it:")
        }
        Error::QuotingRequired { .. } => new(InvalidCode::YamlAmbiguousScalar, "a key must be quoted"),
        Error::ExternalMessage { source, .. } => match source.as_ref() {
            ExternalMessageSource::Parser(scan) if matches!(scan.kind(), ErrorKind::RecursionLimitExceeded) => {
                too_deep()
            }
            _ => new(InvalidCode::YamlSyntax, "not YAML"),
        },
        _ => new(InvalidCode::YamlSyntax, "not YAML"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<InvalidCode> {
        parse(text.as_bytes()).err().map(|error| error.code)
    }

    #[test]
    fn hostile_documents_are_refused_by_class() {
        let laughs = (1..10).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |out, n| {
            let refs = vec![format!("*a{}", n - 1); 9].join(",");
            format!("{out}a{n}: &a{n} [{refs}]\n")
        });
        let big = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 20_000].join(","));
        for (text, expected) in [
            (laughs.as_str(), InvalidCode::YamlBudgetExceeded),
            (&big, InvalidCode::YamlBudgetExceeded),
            (&"[".repeat(1_000_000), InvalidCode::YamlTooDeep),
            ("&a [*a]", InvalidCode::YamlRecursiveAlias),
            ("kind: ConfigMap\nkind: Secret", InvalidCode::YamlDuplicateKey),
            ("a: {b: 1, \"b\": 2}", InvalidCode::YamlDuplicateKey),
            ("a: !!python/object/apply:os.system [x]", InvalidCode::YamlFeatureNotAllowed),
            ("a: !custom x", InvalidCode::YamlFeatureNotAllowed),
            ("a: \"\\0\"", InvalidCode::TextContainsNul),
            ("a:\n\t- b", InvalidCode::YamlSyntax),
            ("a: \"unclosed", InvalidCode::YamlSyntax),
            ("a: 99999999999999999999999999", InvalidCode::NumberOutOfRange),
            ("a: 0x7fffffffffffffffffffffff", InvalidCode::NumberOutOfRange),
            ("a: -0", InvalidCode::NumberOutOfRange),
            ("a: 1e999", InvalidCode::NumberOutOfRange),
            ("a: .inf", InvalidCode::NumberOutOfRange),
        ] {
            assert_eq!(code(text), Some(expected), "{}", excerpt(text));
        }
        for plain in ["no", "on", "Yes", "OFF", "y", "012", "0o14", "0b1", "1:30", "1:30:59.5", "1_000", "tRue", "-012"]
        {
            assert_eq!(code(&format!("a: {plain}")), Some(InvalidCode::YamlAmbiguousScalar), "{plain}");
            assert_eq!(code(&format!("a: \"{plain}\"")), None, "quoted {plain}");
        }
        assert_eq!(code("a: [x\n"), Some(InvalidCode::YamlSyntax));
    }

    #[test]
    fn ordinary_documents_are_read() {
        let text = "# comment\n---\na: &x {b: [1, 0.5, true, True, null, ~, 0x1f, 1e3, 5-3, v1.2, 10.0.0.0/24, 2020-01-01]}\nc: *x\n---\n---\nd: |\n  no\n";
        let documents = parse(text.as_bytes()).expect("fine");
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0]["a"], documents[0]["c"]);
        assert_eq!(documents[1]["d"], "no\n");
        assert_eq!(documents[0]["a"]["b"][10], "10.0.0.0/24");
        for address in ["127.0.0.1:8080", "8080:80", "10.96.0.10:53", "1:90", "1.5:30", "12:30:4x"] {
            let read = parse(format!("a: {address}").as_bytes()).expect("a text");
            assert_eq!(read[0]["a"], address);
        }
        for place in ["a:\n", "a:\n- ", "a: [\n", "a:\n  b: c\n"] {
            let commented = format!("{place}{}\n", "  # said\n".repeat(10_000));
            let text = if place.ends_with("[\n") { format!("{commented}]") } else { commented };
            assert!(parse(text.as_bytes()).is_ok(), "{place}");
        }
        assert!(parse(b"").expect("empty").is_empty());
        assert!(parse(b"# only\n---\n").expect("comments").is_empty());
    }
}

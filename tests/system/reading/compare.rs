//! Compares two readings, and classifies the differences.

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::manifest::ManifestSet;
use brokkr_testbed::Sent;
use serde_json::{Number, Value};

/// Why Brokkr stores something other than kubectl sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    Normalised,
    Changed,
    Dropped,
    DuplicateKey,
    DifferentTwins,
    NoObject,
    Budget,
    Encoding,
    Scanner,
}

impl Reason {
    /// The explanation in the report.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Normalised => {
                "stored without what only a cluster writes, and with the empty text for null, as API servers store it"
            }
            Self::Changed => {
                "refused since kubectl sends another value: an integer with other digits, bytes or halves of characters that are no text, NUL"
            }
            Self::Dropped => "refused since kubectl silently leaves it out: a tag, or a document after ... without ---",
            Self::DuplicateKey => "refused since kubectl keeps one of two equal keys and drops the other",
            Self::DifferentTwins => {
                "refused since kubectl applies both of two different objects of one name, and the last one stays"
            }
            Self::NoObject => "refused early: no API server takes such a name, version, kind, label or owner",
            Self::Budget => "refused since it is larger or nests deeper than the limits",
            Self::Encoding => {
                "refused since it is not UTF-8, or has a character that only YAML 1.1 takes for a line end"
            }
            Self::Scanner => "YAML that go-yaml's scanner and that of YAML 1.2 do not agree about",
        }
    }
}

#[derive(Debug)]
pub(super) enum Verdict {
    Right,
    Because(Reason),
    Wrong(&'static str),
}

/// Removes fields that only clusters write, and fields that must be empty.
const CLUSTER_WRITTEN: [&str; 10] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
    "generateName",
    "ownerReferences",
];

pub(super) fn judge(stored: &Result<ManifestSet, Invalid>, sent: &Sent) -> Verdict {
    match (stored, sent) {
        (Err(_), Err(_)) => Verdict::Right,
        (Ok(stored), Ok(sent)) => {
            let stored: Vec<Value> = stored.objects().iter().map(|it| numbers(Value::Object(it.body()))).collect();
            let sent: Vec<Value> = sent.iter().cloned().map(numbers).collect();
            if stored == sent {
                return Verdict::Right;
            }
            if stored == normalised(sent) {
                Verdict::Because(Reason::Normalised)
            } else {
                Verdict::Wrong("different values")
            }
        }
        // kubectl reports that the file contains no objects.
        (Err(error), Ok(sent)) if sent.is_empty() && error.code == InvalidCode::ManifestEmpty => Verdict::Right,
        (Err(error), Ok(_)) => match refused_alone(error) {
            Some(reason) => Verdict::Because(reason),
            None => Verdict::Wrong("refused by Brokkr alone"),
        },
        (Ok(_), Err(error)) => match accepted_alone(error) {
            Some(reason) => Verdict::Because(reason),
            None => Verdict::Wrong("refused by kubectl alone"),
        },
    }
}

fn refused_alone(error: &Invalid) -> Option<Reason> {
    let says = |text: &str| error.message.contains(text);
    Some(match error.code {
        InvalidCode::BodyNotUtf8 => Reason::Encoding,
        InvalidCode::YamlFeatureNotAllowed if says("line break") => Reason::Encoding,
        InvalidCode::YamlFeatureNotAllowed if says("!!binary") => Reason::Changed,
        InvalidCode::YamlFeatureNotAllowed if says("tag") => Reason::Dropped,
        InvalidCode::YamlFeatureNotAllowed | InvalidCode::YamlSyntax if says("kubectl ignores") => Reason::Dropped,
        InvalidCode::YamlSyntax if says("invalid YAML") || says("between braces") || says("byte-order mark") => {
            Reason::Scanner
        }
        InvalidCode::YamlSyntax if says("surrogate") => Reason::Changed,
        InvalidCode::NumberOutOfRange | InvalidCode::TextContainsNul => Reason::Changed,
        InvalidCode::YamlDuplicateKey => Reason::DuplicateKey,
        InvalidCode::ManifestDuplicateObject => Reason::DifferentTwins,
        InvalidCode::ManifestInvalid => Reason::NoObject,
        InvalidCode::YamlTooDeep
        | InvalidCode::YamlBudgetExceeded
        | InvalidCode::ObjectTooLarge
        | InvalidCode::SetTooLarge => Reason::Budget,
        _ => return None,
    })
}

fn accepted_alone(error: &str) -> Option<Reason> {
    let says = |text: &str| error.contains(text);
    if says("converting YAML to JSON: yaml:") || says("json: offset") {
        return Some(Reason::Scanner);
    }
    // kubectl checks the types of fields that Brokkr does not store.
    let dropped = CLUSTER_WRITTEN.iter().any(|field| says(&format!("ObjectMeta.metadata.{field} ")));
    (dropped || says("parsing time")).then_some(Reason::Normalised)
}

/// Converts numbers that are not 64-bit integers to floats, as every reader does.
fn numbers(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) if !number.is_i64() => {
            let float = number.as_f64().unwrap_or_default();
            // Stored zeros have no sign.
            *number = if float == 0.0 { 0.into() } else { Number::from_f64(float).unwrap_or_else(|| 0.into()) };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = numbers(item.take())),
        Value::Object(map) => map.values_mut().for_each(|item| *item = numbers(item.take())),
        _ => {}
    }
    value
}

/// Applies Brokkr's intended changes to kubectl's objects, and removes duplicates.
fn normalised(objects: Vec<Value>) -> Vec<Value> {
    let mut kept = Vec::new();
    for mut object in objects {
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in CLUSTER_WRITTEN {
                metadata.remove(field);
            }
            for field in ["labels", "annotations"] {
                if metadata.get(field).is_some_and(Value::is_null) {
                    metadata.remove(field);
                }
                for value in
                    metadata.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|it| it.values_mut())
                {
                    if value.is_null() {
                        *value = "".into();
                    }
                }
            }
        }
        if !kept.contains(&object) {
            kept.push(object);
        }
    }
    kept
}

//! Accessors for an object's status, for any shape of JSON.

use serde_json::Value;

/// The parts of an object that determine its health.
pub(crate) struct Status<'a> {
    object: &'a Value,
}

/// One entry of `status.conditions`.
pub(crate) struct Condition<'a>(&'a Value);

impl<'a> Status<'a> {
    pub(crate) fn of(object: &'a Value) -> Self {
        Self { object }
    }

    fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.object.pointer(pointer)
    }

    /// Returns the number at a JSON pointer.
    pub(crate) fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer)?.as_i64()
    }

    /// Returns the number at a JSON pointer; 0 if absent, because Kubernetes omits zeros.
    pub(crate) fn count(&self, pointer: &str) -> i64 {
        self.number(pointer).unwrap_or(0)
    }

    /// Returns the string at a JSON pointer; empty if absent.
    pub(crate) fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether a JSON pointer leads to `true`.
    pub(crate) fn is_set(&self, pointer: &str) -> bool {
        self.at(pointer) == Some(&Value::Bool(true))
    }

    /// Returns the list at a JSON pointer; empty if absent.
    pub(crate) fn list(&self, pointer: &str) -> &'a [Value] {
        self.at(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether a controller has written any status.
    pub(crate) fn is_there(&self) -> bool {
        self.at("/status").and_then(Value::as_object).is_some_and(|status| !status.is_empty())
    }

    pub(crate) fn generation(&self) -> Option<i64> {
        self.number("/metadata/generation")
    }

    pub(crate) fn condition(&self, kind: &str) -> Option<Condition<'a>> {
        self.list("/status/conditions")
            .iter()
            .find(|it| it.get("type").and_then(Value::as_str) == Some(kind))
            .map(Condition)
    }

    /// Returns the condition if its status is `True`.
    pub(crate) fn holds(&self, kind: &str) -> Option<Condition<'a>> {
        self.condition(kind).filter(Condition::is_true)
    }

    /// Returns the condition if its status is `False`.
    pub(crate) fn fails(&self, kind: &str) -> Option<Condition<'a>> {
        self.condition(kind).filter(Condition::is_false)
    }
}

impl<'a> Condition<'a> {
    fn text(&self, field: &str) -> &'a str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn is_true(&self) -> bool {
        self.text("status") == "True"
    }

    pub(crate) fn is_false(&self) -> bool {
        self.text("status") == "False"
    }

    /// Returns the condition's reason, or `other` if it is empty.
    pub(crate) fn reason_or(&self, other: &'a str) -> &'a str {
        Some(self.text("reason")).filter(|reason| !reason.is_empty()).unwrap_or(other)
    }

    pub(crate) fn reason(&self) -> &'a str {
        self.text("reason")
    }

    pub(crate) fn message(&self) -> &'a str {
        self.text("message")
    }

    /// Returns the generation that the condition refers to, if set.
    pub(crate) fn observed_generation(&self) -> Option<i64> {
        self.0.get("observedGeneration")?.as_i64()
    }
}

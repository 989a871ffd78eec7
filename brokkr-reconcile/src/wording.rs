//! Rewords the messages of Kubernetes: says the cause first and cuts what only its developers need.
//!
//! Messages only select the wording here; no decision depends on them. An unknown message is quoted.

use brokkr_core::model::shorten;

use crate::cluster::ClusterError;

/// Maximum bytes of a value within a message.
const VALUE_BYTES: usize = 80;

/// Returns the text for an error of the API server.
pub(crate) fn of(error: &ClusterError) -> String {
    match error {
        ClusterError::NotFound(message) => match quoted_after(message, "namespaces ") {
            Some(name) => format!("the Namespace \"{name}\" does not exist"),
            None => ClusterError::NotFound(tidy(message)).to_string(),
        },
        ClusterError::Denied(message) => ClusterError::Denied(tidy(message)).to_string(),
        ClusterError::Invalid(message) => ClusterError::Invalid(tidy(message)).to_string(),
        ClusterError::Webhook(message) => webhook(message),
        ClusterError::Terminating(message) => match terminating_namespace(message) {
            Some(name) => format!("the Namespace {name} is being deleted; the agent tries again when it is gone"),
            None => tidy(message),
        },
        error => tidy(&error.to_string()),
    }
}

/// Returns the namespace in the rejection of an object whose namespace is being deleted.
pub(crate) fn terminating_namespace(message: &str) -> Option<&str> {
    let rest = message.split_once("unable to create new content in namespace ")?.1;
    rest.split_once(" because").map(|(name, _)| name)
}

/// Returns the first quoted word after a phrase: `a` for `namespaces "a" not found`.
pub(crate) fn quoted_after<'m>(message: &'m str, phrase: &str) -> Option<&'m str> {
    let rest = message.split_once(phrase)?.1;
    let quote = rest.chars().next().filter(|it| matches!(it, '"' | '\'' | '`'));
    match quote {
        Some(quote) => rest[1..].split(quote).next(),
        // Some messages have no quotes.
        None => rest.split([' ', ',', ':']).next().filter(|word| !word.is_empty()),
    }
}

/// Returns a message in one line, without the object's name, Go types, diffs, regular expressions and long values.
pub(crate) fn tidy(message: &str) -> String {
    // A diff follows some messages.
    let lines = message.lines().map(str::trim).take_while(|line| !line.starts_with("@@"));
    let joined = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let mut text = without_subject(&joined).to_owned();
    if let Some((before, after)) = text.split_once("failed to create typed patch object (")
        && let Some((_, after)) = after.split_once("): ")
    {
        let after = after.strip_prefix("errors:; ").unwrap_or(after);
        text = format!("{before}{after}");
    }
    text = text.replace("field not declared in schema", "unknown field");
    text = replaced(&text, "&value.valueUnstructured{Value:", "}", |value| {
        let is_bare = value.parse::<f64>().is_ok() || matches!(value, "true" | "false");
        if is_bare { format!("{value} (put it in quotes)") } else { value.to_owned() }
    });
    text = replaced(&text, ", regex used for validation is '", "')", |_| ")".to_owned());
    with_short_values(&text)
}

/// Returns the message after `ConfigMap "a" is invalid: `: the object is named elsewhere.
fn without_subject(message: &str) -> &str {
    for phrase in ["\" is invalid: ", "\" is forbidden: "] {
        if let Some((subject, rest)) = message.split_once(phrase)
            && subject.split_once(" \"").is_some_and(|(kind, name)| !kind.contains(' ') && !name.contains(' '))
        {
            return rest;
        }
    }
    message
}

/// Replaces each text between two marks, and the marks.
fn replaced(text: &str, begin: &str, end: &str, by: impl Fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(begin) {
        let Some((value, after)) = after.split_once(end) else { break };
        out.push_str(before);
        out.push_str(&by(value));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Shortens the values that a message quotes, so that the reason after them remains.
fn with_short_values(text: &str) -> String {
    const MARK: &str = "Invalid value: ";
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(MARK) {
        let (value, after) = after.split_at(end_of_value(after));
        let mut value = value.to_owned();
        shorten(&mut value, VALUE_BYTES);
        out.push_str(before);
        out.push_str(MARK);
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Returns the length of the JSON at the start of a text; 0 for another value.
fn end_of_value(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ if at == 0 => return 0,
            _ => continue,
        }
        if depth == 0 && !quoted && !escaped {
            return at + 1;
        }
    }
    0
}

/// Rewords the failure of a webhook that the API server calls.
fn webhook(message: &str) -> String {
    let conversion = message.split_once("conversion webhook for ").and_then(|(_, rest)| rest.split_once(" failed"));
    let who = match (conversion, quoted_after(message, "webhook ")) {
        (Some((kind, _)), _) => format!("the conversion webhook of {}", kind.replace(", Kind=", " ")),
        (None, Some(name)) if message.contains(&format!("webhook \"{name}\"")) => format!("the webhook \"{name}\""),
        _ => return tidy(message),
    };
    let call = message.split_once("Post \"").and_then(|(_, rest)| rest.split_once("\": "));
    let Some((url, cause)) = call else {
        let after = message.split_once(&who["the ".len()..]).map(|(_, rest)| rest.trim_start_matches(": "));
        return after
            .filter(|it| !it.is_empty())
            .map_or_else(|| tidy(message), |after| format!("{who} failed: {}", tidy(after)));
    };
    let cause = if ["context deadline exceeded", "Timeout exceeded", "i/o timeout"].iter().any(|it| cause.contains(it))
    {
        match url.split_once("timeout=").map(|(_, rest)| rest.split('&').next().unwrap_or(rest)) {
            Some(time) => format!("timeout after {time}"),
            None => "timeout".to_owned(),
        }
    } else if cause.ends_with("connection refused") {
        "connection refused".to_owned()
    } else {
        tidy(cause)
    };
    format!("{who} cannot be reached from the API server: {cause}")
}

/// Cuts the middle out of a text that is too long: the reason is often at its end.
pub(crate) fn cut_inside(text: &mut String, max: usize) {
    const MARK: &str = " … ";
    if text.len() <= max {
        return;
    }
    let keep = max.saturating_sub(MARK.len());
    let (mut head, mut tail) = (keep / 2, text.len() - keep / 2);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    text.replace_range(head..tail, MARK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_tidied() {
        let long = format!(
            "Job.batch \"a\" is invalid: spec.template: Invalid value: {{\"Spec\":\"{}\"}}: field is immutable",
            "x]\\\"".repeat(400)
        );
        let tidied = tidy(&long);
        assert!(tidied.starts_with("spec.template: Invalid value: {\"Spec") && tidied.len() < 160, "{tidied}");
        assert!(tidied.ends_with("…: field is immutable"), "{tidied}");
        for (message, expected) in [
            (
                "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): .spec.size: field not declared in schema",
                ".spec.size: unknown field",
            ),
            (
                "failed to create typed patch object (a/b; /v1, Kind=ConfigMap): errors:\n  .data.a: expected string, got &value.valueUnstructured{Value:5}\n  .data.b: expected string, got &value.valueUnstructured{Value:true}",
                ".data.a: expected string, got 5 (put it in quotes); .data.b: expected string, got true (put it in quotes)",
            ),
            (
                "ConfigMap \"A\" is invalid: metadata.name: Invalid value: \"A\": lower case (e.g. 'a.b', regex used for validation is '[a-z]([a-z]*)?')",
                "metadata.name: Invalid value: \"A\": lower case (e.g. 'a.b')",
            ),
            ("spec is immutable\n@@ -1 +1 @@\n-a\n+b\n", "spec is immutable"),
            ("pods \"a-1\" is forbidden: exceeded quota: q", "exceeded quota: q"),
            ("nobody knows", "nobody knows"),
            ("x: Invalid value: 70000: must be less", "x: Invalid value: 70000: must be less"),
            ("x: Invalid value: \"open", "x: Invalid value: \"open"),
        ] {
            assert_eq!(tidy(message), expected);
        }
    }

    #[test]
    fn errors_name_their_cause() {
        let hook = |text: &str| of(&ClusterError::Webhook(text.to_owned()));
        let call = "Internal error occurred: failed calling webhook \"w.example\": failed to call webhook: Post \"https://w.a.svc:443/x?timeout=7s\": ";
        let unreachable = "the webhook \"w.example\" cannot be reached from the API server: ";
        for (cause, expected) in [
            ("context deadline exceeded", "timeout after 7s"),
            ("dial tcp 10.0.0.1:443: connect: connection refused", "connection refused"),
            ("service \"w\" not found", "service \"w\" not found"),
        ] {
            assert_eq!(hook(&format!("{call}{cause}")), format!("{unreachable}{expected}"));
        }
        assert_eq!(
            hook("failed calling webhook \"w.example\": expected response.uid=\"1\", got \"2\""),
            "the webhook \"w.example\" failed: expected response.uid=\"1\", got \"2\""
        );
        assert_eq!(
            hook(
                "conversion webhook for e.example/v1, Kind=Widget failed: Post \"https://c.a.svc:443/\": no endpoints"
            ),
            "the conversion webhook of e.example/v1 Widget cannot be reached from the API server: no endpoints"
        );
        assert_eq!(hook("failed"), "failed");
        let gone = ClusterError::Terminating(
            "maps \"a\" is forbidden: unable to create new content in namespace n because it is being terminated"
                .to_owned(),
        );
        assert_eq!(of(&gone), "the Namespace n is being deleted; the agent tries again when it is gone");
        let missing = ClusterError::NotFound("namespaces \"n\" not found".to_owned());
        assert_eq!(of(&missing), "the Namespace \"n\" does not exist");
    }

    #[test]
    fn long_text_keeps_its_ends() {
        let mut text = format!("begin{}end", "ä".repeat(500));
        cut_inside(&mut text, 100);
        assert!(text.len() <= 100 && text.starts_with("begin") && text.ends_with("end"), "{text}");
    }
}

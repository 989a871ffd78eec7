//! Combines the problems of a stack's objects into one message. Names every object, and states each remedy once.

use std::fmt::Write as _;

use brokkr_core::model::{limits, shorten};

use crate::outcome::problem::ObjectProblem;
use crate::remedy::fix;
use crate::wording::cut_inside;

/// Maximum bytes of one object's message. The server may quote a whole manifest.
const MESSAGE_BYTES: usize = 600;
/// Bytes reserved for the end of the message.
const END_BYTES: usize = 64;

/// Describes as many problems as fit with their messages, then as many as fit by name, then the number of the rest.
pub(crate) fn describe(problems: &[ObjectProblem], total: usize) -> String {
    let state = if problems.first().is_some_and(|it| it.waiting) { "not done yet" } else { "failed" };
    let mut text = format!("{} of {total} objects {state}: ", problems.len());
    let room = limits::MESSAGE_BYTES - END_BYTES;
    let (mut described, mut named) = (0_usize, 0_usize);
    for (position, problem) in problems.iter().enumerate() {
        let mut part = format!("{}: {}", problem.object, problem.message);
        cut_inside(&mut part, MESSAGE_BYTES);
        // The last object with a remedy states it for all before it.
        let next = problems.get(position + 1);
        if let Some(remedy) = &problem.remedy
            && next.is_none_or(|next| next.remedy.as_ref() != Some(remedy))
        {
            let _ = write!(part, "{}", fix(&part, remedy));
        }
        let remedy = problem.remedy.as_ref().map_or(0, |remedy| remedy.len() + 10);
        if text.len() + part.len() + remedy + 2 > room / 4 * 3 {
            break;
        }
        let _ = write!(text, "{}{part}", separator(position == 0, &text));
        described += 1;
    }
    if let Some(remedy) = described.checked_sub(1).and_then(|last| problems.get(last)).and_then(|it| it.remedy.as_ref())
        && described < problems.len()
        && problems.get(described).and_then(|it| it.remedy.as_ref()) == Some(remedy)
    {
        let sentence = fix(&text, remedy);
        text.push_str(&sentence);
    }
    for problem in problems.iter().skip(described) {
        let part = format!("{} ({})", problem.object, problem.reason);
        if text.len() + part.len() + 2 > room {
            break;
        }
        let _ = write!(text, "{}{part}", separator(described + named == 0, &text));
        named += 1;
    }
    let more = problems.len() - described - named;
    if more > 0 {
        let _ = write!(text, "{}and {more} more", separator(false, &text));
    }
    shorten(&mut text, limits::MESSAGE_BYTES);
    text
}

/// Separates an item from the text before it: a space after a sentence, a semicolon otherwise.
fn separator(is_first: bool, text: &str) -> &'static str {
    match is_first {
        true => "",
        false if text.ends_with('.') => " ",
        false => "; ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::reason::Reason;
    use brokkr_core::model::ObjectRef;

    fn problem(name: &str, message: &str, remedy: Option<&str>) -> ObjectProblem {
        let object =
            ObjectRef { group: String::new(), kind: "ConfigMap".to_owned(), namespace: None, name: name.to_owned() };
        let problem = ObjectProblem::failed(object, Reason::Refused, message);
        remedy.into_iter().fold(problem, ObjectProblem::with_remedy)
    }

    #[test]
    fn shared_remedy_appears_once() {
        let problems = [
            problem("a", "no", Some("correct it")),
            problem("b", "never", Some("correct it")),
            problem("c", "not now", None),
            problem("d", "no", Some("wait")),
        ];
        let expected = "4 of 9 objects failed: ConfigMap a: no; ConfigMap b: never. Fix: correct it. ConfigMap c: not now; \
                        ConfigMap d: no. Fix: wait.";
        assert_eq!(describe(&problems, 9), expected);
        assert_eq!(describe(&problems[..1], 1), "1 of 1 objects failed: ConfigMap a: no. Fix: correct it.");
    }

    #[test]
    fn problems_beyond_the_limit_are_named_then_counted() {
        let long = "x".repeat(2_000);
        let twenty: Vec<_> = (0..20).map(|n| problem(&format!("n{n}"), &long, Some("correct it"))).collect();
        let text = describe(&twenty, 20);
        for n in 0..20 {
            assert!(text.contains(&format!("ConfigMap n{n}")), "{n}: {text}");
        }
        assert!(text.len() <= limits::MESSAGE_BYTES, "{}", text.len());
        assert_eq!(text.matches("correct it").count(), 1, "{text}");
        let many: Vec<_> = (0..2_000).map(|n| problem(&format!("n{n}"), "no", None)).collect();
        let text = describe(&many, 5_000);
        assert!(
            text.len() <= limits::MESSAGE_BYTES && text.starts_with("2000 of 5000 objects failed: ConfigMap n0: no; ")
        );
        assert!(text.ends_with(" more"), "{text}");
        let described = text.matches("ConfigMap n").count();
        assert!(text.ends_with(&format!("; and {} more", 2_000 - described)), "{text}");
    }

    #[test]
    fn long_message_is_shortened() {
        let long = "y".repeat(10_000);
        let text = describe(&[problem("a", &long, None), problem("b", "short", None)], 2);
        assert!(text.contains("ConfigMap b: short") && text.contains('…'), "{text}");
    }
}

//! The built-in targeting policies.

use std::collections::BTreeMap;

use crate::model::{Exclusion, Name, Requirement, SharedKeys, Stack, TargetingRule};
use crate::targeting::{AnyOf, Candidate, PolicyError, Reach, TargetingPolicy, TargetingPolicyExt as _, Verdict};

/// The default policy of a broker: [`DirectTarget`] or [`ByRule`].
///
/// To test a policy as `BrokerBuilder::also_match` combines it with the default, evaluate `default_policy().or(policy)`.
pub fn default_policy() -> AnyOf {
    DirectTarget.or(ByRule)
}

/// Matches direct targets.
#[derive(Debug, Clone, Copy)]
pub struct DirectTarget;

impl TargetingPolicy for DirectTarget {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        Ok(if candidate.direct { Verdict::matched("a direct target") } else { Verdict::unmatched("no direct target") })
    }

    fn reach(&self, _stack: &Stack) -> Reach {
        Reach::NONE
    }
}

/// Matches agents that share labels with the stack: key and value are equal.
#[derive(Debug, Clone, Copy)]
pub struct SharedLabels(SharedKeys);

impl SharedLabels {
    /// Matches if at least one label is shared.
    pub fn any() -> Self {
        Self(SharedKeys::Any)
    }

    /// Matches if the agent has every label of the stack. A stack without labels matches no agent.
    pub fn all() -> Self {
        Self(SharedKeys::All)
    }
}

impl TargetingPolicy for SharedLabels {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        Ok(shared(self.0, "label", candidate.stack.labels.as_map(), candidate.agent.labels.as_map()))
    }

    fn reach(&self, stack: &Stack) -> Reach {
        Reach::shared_labels(self.0, stack)
    }
}

/// Matches agents that share annotations with the stack: key and value are equal.
#[derive(Debug, Clone, Copy)]
pub struct SharedAnnotations(SharedKeys);

impl SharedAnnotations {
    /// Matches if at least one annotation is shared.
    pub fn any() -> Self {
        Self(SharedKeys::Any)
    }

    /// Matches if the agent has every annotation of the stack. A stack without annotations matches no agent.
    pub fn all() -> Self {
        Self(SharedKeys::All)
    }
}

impl TargetingPolicy for SharedAnnotations {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        Ok(shared(self.0, "annotation", candidate.stack.annotations.as_map(), candidate.agent.annotations.as_map()))
    }

    fn reach(&self, stack: &Stack) -> Reach {
        Reach::shared_annotations(self.0, stack)
    }
}

/// Matches by the stack's [`TargetingRule`]. A stack without a rule matches agents that share a label or annotation
/// with it.
#[derive(Debug, Clone, Copy)]
pub struct ByRule;

impl TargetingPolicy for ByRule {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        Ok(match &candidate.stack.targeting {
            Some(rule) => by_rule(rule, candidate),
            None => first_match([
                shared(SharedKeys::Any, "label", candidate.stack.labels.as_map(), candidate.agent.labels.as_map()),
                shared(
                    SharedKeys::Any,
                    "annotation",
                    candidate.stack.annotations.as_map(),
                    candidate.agent.annotations.as_map(),
                ),
            ]),
        })
    }

    fn reach(&self, stack: &Stack) -> Reach {
        Reach::by_rule(stack)
    }
}

fn first_match(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut reasons = Vec::new();
    for verdict in verdicts {
        if verdict.matched {
            return verdict;
        }
        reasons.extend(verdict.reasons);
    }
    Verdict { matched: false, reasons }
}

fn shared(
    mode: SharedKeys,
    what: &'static str,
    stack: &BTreeMap<String, String>,
    agent: &BTreeMap<String, String>,
) -> Verdict {
    let on_agent = |(key, value): &(&String, &String)| agent.get(*key) == Some(*value);
    match mode {
        SharedKeys::Off => Verdict::unmatched(format!("shared {what}s do not count")),
        SharedKeys::Any => match stack.iter().find(on_agent) {
            Some((key, value)) => Verdict::matched(format!("shares the {what} {key}={value}")),
            None => Verdict::unmatched(format!("no shared {what}")),
        },
        SharedKeys::All if stack.is_empty() => Verdict::unmatched(format!("the stack has no {what}s to share")),
        SharedKeys::All => match stack.iter().find(|pair| !on_agent(pair)) {
            Some((key, value)) => Verdict::unmatched(format!("the agent lacks the {what} {key}={value}")),
            None => Verdict::matched(format!("has all {what}s of the stack")),
        },
    }
}

/// Describes the first requirement that the agent does not meet; `None` if it meets all.
fn first_failing(
    candidate: &Candidate<'_>,
    labels: Option<&BTreeMap<String, String>>,
    expressions: Option<&[Requirement]>,
    annotations: Option<&BTreeMap<String, String>>,
) -> Option<String> {
    let agent = candidate.agent;
    let lacks = |what: &str, wanted: Option<&BTreeMap<String, String>>, there: &BTreeMap<String, String>| {
        let missing = wanted?.iter().find(|(key, value)| there.get(*key) != Some(*value))?;
        Some(format!("the agent lacks the {what} {}={}", missing.0, missing.1))
    };
    lacks("label", labels, agent.labels.as_map())
        .or_else(|| {
            let failing = expressions?.iter().find(|it| !it.holds(agent.labels.as_map()))?;
            Some(format!("the requirement {:?} on the label {} does not hold", failing.operator, failing.key))
        })
        .or_else(|| lacks("annotation", annotations, agent.annotations.as_map()))
}

fn by_rule(rule: &TargetingRule, candidate: &Candidate<'_>) -> Verdict {
    if let Some(Exclusion { match_labels, match_expressions, match_annotations }) = &rule.exclude
        && first_failing(candidate, match_labels.as_ref(), match_expressions.as_deref(), match_annotations.as_ref())
            .is_none()
    {
        return Verdict::unmatched("excluded by the stack's rule");
    }
    let agent = candidate.agent.environment.as_ref().map(Name::as_str);
    if let Some(names) = &rule.environments
        && !names.iter().any(|name| Some(name.as_str()) == agent)
    {
        return Verdict::unmatched("the agent is in none of the rule's environments");
    }
    let mut verdicts = Vec::new();
    if rule.match_labels.is_some() || rule.match_expressions.is_some() || rule.match_annotations.is_some() {
        let failing = first_failing(
            candidate,
            rule.match_labels.as_ref(),
            rule.match_expressions.as_deref(),
            rule.match_annotations.as_ref(),
        );
        verdicts.push(match failing {
            None => Verdict::matched("selected by the stack's rule"),
            Some(reason) => Verdict::unmatched(reason),
        });
    }
    if rule.shared_labels != SharedKeys::Off {
        let (stack, agent) = (candidate.stack.labels.as_map(), candidate.agent.labels.as_map());
        verdicts.push(shared(rule.shared_labels, "label", stack, agent));
    }
    if rule.shared_annotations != SharedKeys::Off {
        let (stack, agent) = (candidate.stack.annotations.as_map(), candidate.agent.annotations.as_map());
        verdicts.push(shared(rule.shared_annotations, "annotation", stack, agent));
    }
    if verdicts.is_empty() && rule.environments.is_some() {
        return Verdict::matched("in an environment of the stack's rule");
    }
    if verdicts.is_empty() {
        return Verdict::unmatched("the stack's rule selects no agents");
    }
    first_match(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Agent;
    use crate::model::Operator;
    use crate::targeting::{all_of, any_of, not};

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn pair(stack_labels: &[(&str, &str)], agent_labels: &[(&str, &str)]) -> (Stack, Agent) {
        let mut stack = crate::store::conformance::sample::stack("s");
        let mut agent = crate::store::conformance::sample::agent("a");
        stack.labels = map(stack_labels).try_into().expect("labels");
        agent.labels = map(agent_labels).try_into().expect("labels");
        (stack, agent)
    }

    fn matched(policy: &dyn TargetingPolicy, stack: &Stack, agent: &Agent, direct: bool) -> bool {
        let verdict = policy.evaluate(&Candidate::new(stack, agent, direct)).expect("these policies never fail");
        assert!(!verdict.reasons.is_empty());
        verdict.matched
    }

    #[test]
    fn stack_without_rule_matches_on_any_shared_label() {
        let policy = default_policy();
        let (stack, agent) = pair(&[("env", "prod"), ("tier", "web")], &[("env", "prod")]);
        assert!(matched(&policy, &stack, &agent, false));
        let (stack, agent) = pair(&[("env", "prod")], &[("env", "dev")]);
        assert!(!matched(&policy, &stack, &agent, false));
        assert!(matched(&policy, &stack, &agent, true));
        let (stack, agent) = pair(&[], &[]);
        assert!(!matched(&policy, &stack, &agent, false));
    }

    #[test]
    fn rule_uses_only_the_given_fields() {
        let policy = default_policy();
        let (mut stack, agent) = pair(&[("env", "prod")], &[("env", "prod"), ("zone", "a")]);
        stack.targeting = Some(TargetingRule::default());
        assert!(!matched(&policy, &stack, &agent, false));
        stack.targeting = Some(TargetingRule { match_labels: Some(map(&[])), ..TargetingRule::default() });
        assert!(matched(&policy, &stack, &agent, false));
        let exclude = Exclusion { match_labels: Some(map(&[("zone", "a")])), ..Exclusion::default() };
        stack.targeting =
            Some(TargetingRule { match_labels: Some(map(&[])), exclude: Some(exclude), ..TargetingRule::default() });
        assert!(!matched(&policy, &stack, &agent, false), "an exclusion overrides a match");
        assert!(matched(&policy, &stack, &agent, true), "a direct target overrides an exclusion");
        let elsewhere = Requirement { key: "zone".into(), operator: Operator::NotIn, values: vec!["a".into()] };
        stack.targeting = Some(TargetingRule {
            match_labels: Some(map(&[("env", "prod")])),
            match_expressions: Some(vec![elsewhere]),
            ..TargetingRule::default()
        });
        assert!(!matched(&policy, &stack, &agent, false), "match_* are joined by and");
    }

    #[test]
    fn environments_of_a_rule_limit_whatever_else_matches() {
        let policy = default_policy();
        let environments = Some(vec!["dev".to_owned(), "qa".to_owned()]);
        let alone = TargetingRule { environments, ..TargetingRule::default() };
        let labelled = TargetingRule { match_labels: Some(map(&[("zone", "a")])), ..alone.clone() };
        let shared = TargetingRule { shared_labels: SharedKeys::Any, ..alone.clone() };
        for (rule, environment, zone, direct, expected) in [
            (&alone, Some("dev"), "b", false, true),
            (&alone, Some("qa"), "b", false, true),
            (&alone, Some("prod"), "a", false, false),
            (&alone, None, "a", false, false),
            (&alone, Some("prod"), "a", true, true),
            (&labelled, Some("dev"), "a", false, true),
            (&labelled, Some("dev"), "b", false, false),
            (&labelled, Some("prod"), "a", false, false),
            (&shared, Some("dev"), "a", false, true),
            (&shared, Some("dev"), "b", false, false),
            (&shared, Some("prod"), "a", false, false),
        ] {
            let (mut stack, mut agent) = pair(&[("zone", "a")], &[("zone", zone)]);
            stack.targeting = Some(rule.clone());
            agent.environment = environment.map(|name| name.parse().expect("a name"));
            assert_eq!(matched(&policy, &stack, &agent, direct), expected, "{rule:?} {environment:?} {zone} {direct}");
        }
    }

    #[test]
    fn all_shared_labels_of_unlabelled_stack_match_no_agent() {
        let (stack, agent) = pair(&[], &[("a", "b")]);
        assert!(!matched(&SharedLabels::all(), &stack, &agent, false));
        let (stack, agent) = pair(&[("a", "b"), ("c", "d")], &[("a", "b")]);
        assert!(!matched(&SharedLabels::all(), &stack, &agent, false));
        assert!(matched(&SharedLabels::any(), &stack, &agent, false));
    }

    #[test]
    fn empty_combinators_match_nothing() {
        let (stack, agent) = pair(&[], &[]);
        assert!(!matched(&all_of(Vec::<Failing>::new()), &stack, &agent, true));
        assert!(!matched(&any_of(Vec::<Failing>::new()), &stack, &agent, true));
        assert!(matched(&not(DirectTarget), &stack, &agent, false));
        assert!(!matched(&DirectTarget.and(SharedLabels::any()), &stack, &agent, true));
    }

    #[derive(Debug)]
    struct Failing;

    impl TargetingPolicy for Failing {
        fn evaluate(&self, _: &Candidate<'_>) -> Result<Verdict, PolicyError> {
            Err(PolicyError("out of order".into()))
        }
    }

    #[test]
    fn error_of_a_part_is_not_a_mismatch() {
        let (stack, agent) = pair(&[], &[]);
        let candidate = Candidate::new(&stack, &agent, false);
        assert!(Failing.or(DirectTarget).evaluate(&candidate).is_err());
        assert!(not(Failing).evaluate(&candidate).is_err());
        let direct = Candidate::new(&stack, &agent, true);
        assert!(Failing.or(DirectTarget).evaluate(&direct).is_ok_and(|it| it.matched));
    }
}

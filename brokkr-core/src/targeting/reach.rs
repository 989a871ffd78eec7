//! The agents that a policy can match with a stack, without a look at each agent.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::model::{Agent, Operator, SharedKeys, Stack, TargetingRule};

/// A label or an annotation with its value, or an environment, in a form that indices are small with.
///
/// Two different ones are rarely equal. An index then finds an agent too many, which the policy does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute(u64);

impl Attribute {
    /// A label.
    pub fn label(key: &str, value: &str) -> Self {
        Self::of("label", key, value)
    }

    /// An annotation.
    pub fn annotation(key: &str, value: &str) -> Self {
        Self::of("annotation", key, value)
    }

    /// Membership in an environment.
    pub fn environment(name: &str) -> Self {
        Self::of("environment", name, "")
    }

    fn of(what: &str, key: &str, value: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (what, key, value).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// All labels and annotations of an agent, and its environment.
    pub fn of_agent(agent: &Agent) -> impl Iterator<Item = Self> {
        let environment = agent.environment.iter().map(|name| Self::environment(name.as_str()));
        labels(agent.labels.as_map()).chain(annotations(agent.annotations.as_map())).chain(environment)
    }
}

fn labels(map: &BTreeMap<String, String>) -> impl Iterator<Item = Attribute> {
    map.iter().map(|(key, value)| Attribute::label(key, value))
}

fn annotations(map: &BTreeMap<String, String>) -> impl Iterator<Item = Attribute> {
    map.iter().map(|(key, value)| Attribute::annotation(key, value))
}

/// The agents that a policy can match with one stack, besides those with a direct target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every registered agent.
    Every,
    /// Only agents that have at least one of these.
    Having(Vec<Attribute>),
}

impl Reach {
    /// No agent.
    pub const NONE: Self = Self::Having(Vec::new());

    /// The agents of either side.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Having(mut one), Self::Having(other)) => {
                one.extend(other);
                Self::Having(one)
            }
            _ => Self::Every,
        }
    }

    /// The agents of the side that needs fewer attributes: each agent of both sides is among them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Every, it) | (it, Self::Every) => it,
            (Self::Having(one), Self::Having(other)) => {
                Self::Having(if one.len() <= other.len() { one } else { other })
            }
        }
    }

    /// The agents that [`ByRule`](crate::targeting::ByRule) can match.
    pub(super) fn by_rule(stack: &Stack) -> Self {
        let Some(rule) = &stack.targeting else {
            return Self::shared_labels(SharedKeys::Any, stack).or(Self::shared_annotations(SharedKeys::Any, stack));
        };
        let selected = Self::selected(rule)
            .or(Self::shared_labels(rule.shared_labels, stack))
            .or(Self::shared_annotations(rule.shared_annotations, stack));
        let Some(names) = &rule.environments else {
            return selected;
        };
        let within = Self::Having(names.iter().map(|name| Attribute::environment(name)).collect());
        // Without another condition, the rule selects every agent of its environments.
        if selected == Self::NONE { within } else { selected.and(within) }
    }

    pub(super) fn shared_labels(mode: SharedKeys, stack: &Stack) -> Self {
        Self::shared(mode, labels(stack.labels.as_map()))
    }

    pub(super) fn shared_annotations(mode: SharedKeys, stack: &Stack) -> Self {
        Self::shared(mode, annotations(stack.annotations.as_map()))
    }

    fn shared(mode: SharedKeys, all: impl Iterator<Item = Attribute>) -> Self {
        Self::Having(match mode {
            SharedKeys::Off => Vec::new(),
            SharedKeys::Any => all.collect(),
            // The agent has each of them, so it has the first.
            SharedKeys::All => all.take(1).collect(),
        })
    }

    /// The agents that the `match_*` fields can select.
    fn selected(rule: &TargetingRule) -> Self {
        let TargetingRule { match_labels, match_expressions, match_annotations, .. } = rule;
        if match_labels.is_none() && match_expressions.is_none() && match_annotations.is_none() {
            return Self::NONE;
        }
        let of_labels = match_labels.iter().flat_map(labels).map(|it| Self::Having(vec![it]));
        let of_annotations = match_annotations.iter().flat_map(annotations).map(|it| Self::Having(vec![it]));
        let one_of = match_expressions.iter().flatten().filter(|it| it.operator == Operator::In);
        let of_expressions =
            one_of.map(|it| Self::Having(it.values.iter().map(|value| Attribute::label(&it.key, value)).collect()));
        of_labels.chain(of_annotations).chain(of_expressions).fold(Self::Every, Self::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Requirement;
    use crate::store::conformance::sample;
    use crate::targeting::{
        Candidate, DirectTarget, SharedAnnotations, SharedLabels, TargetingPolicy, TargetingPolicyExt as _, all_of,
        any_of, default_policy, not,
    };

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn rules() -> Vec<Option<TargetingRule>> {
        let expression = |operator, values: &[&str]| Requirement {
            key: "a".to_owned(),
            operator,
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        let rule = TargetingRule::default;
        let prod = || Some(vec!["prod".to_owned()]);
        vec![
            None,
            Some(rule()),
            Some(TargetingRule { match_labels: Some(map(&[])), ..rule() }),
            Some(TargetingRule { match_labels: Some(map(&[("a", "1"), ("b", "1")])), ..rule() }),
            Some(TargetingRule { match_annotations: Some(map(&[("a", "1")])), ..rule() }),
            Some(TargetingRule { match_expressions: Some(vec![expression(Operator::In, &["1", "2"])]), ..rule() }),
            Some(TargetingRule { match_expressions: Some(vec![expression(Operator::NotIn, &["1"])]), ..rule() }),
            Some(TargetingRule { match_expressions: Some(vec![expression(Operator::Exists, &[])]), ..rule() }),
            Some(TargetingRule { shared_labels: SharedKeys::Any, ..rule() }),
            Some(TargetingRule { shared_labels: SharedKeys::All, ..rule() }),
            Some(TargetingRule { shared_annotations: SharedKeys::All, ..rule() }),
            Some(TargetingRule { environments: prod(), ..rule() }),
            Some(TargetingRule { environments: prod(), match_labels: Some(map(&[])), ..rule() }),
            Some(TargetingRule { environments: prod(), shared_labels: SharedKeys::Any, ..rule() }),
            Some(TargetingRule {
                match_labels: Some(map(&[("b", "2")])),
                shared_annotations: SharedKeys::Any,
                ..rule()
            }),
        ]
    }

    fn policies() -> Vec<Box<dyn TargetingPolicy>> {
        vec![
            Box::new(default_policy()),
            Box::new(SharedLabels::any()),
            Box::new(SharedLabels::all()),
            Box::new(SharedAnnotations::all()),
            Box::new(SharedLabels::any().and(SharedAnnotations::any())),
            Box::new(not(SharedLabels::any())),
            Box::new(default_policy().or(not(SharedLabels::any()))),
            Box::new(all_of([SharedLabels::any(), SharedLabels::all()])),
            Box::new(any_of([SharedLabels::all(), SharedLabels::any()])),
            Box::new(all_of(Vec::<SharedLabels>::new())),
            Box::new(any_of(Vec::<SharedLabels>::new())),
        ]
    }

    #[test]
    fn every_matched_agent_is_within_reach() {
        let maps = [map(&[]), map(&[("a", "1")]), map(&[("a", "2"), ("b", "1")]), map(&[("a", "1"), ("b", "2")])];
        let (mut stack, mut agent) = (sample::stack("s"), sample::agent("a"));
        let mut missed = 0;
        for policy in policies() {
            for (rule, a, b, c, d) in combinations(&maps) {
                stack.targeting = rule;
                stack.labels = maps[a].clone().try_into().expect("labels");
                stack.annotations = maps[b].clone().try_into().expect("annotations");
                agent.labels = maps[c].clone().try_into().expect("labels");
                agent.annotations = maps[d].clone().try_into().expect("annotations");
                agent.environment = (a + c == 3).then(|| "prod".parse().expect("a name"));
                let matched = policy.evaluate(&Candidate::new(&stack, &agent, false)).expect("they never fail").matched;
                let is_reached = match policy.reach(&stack) {
                    Reach::Every => true,
                    Reach::Having(one_of) => Attribute::of_agent(&agent).any(|it| one_of.contains(&it)),
                };
                assert!(is_reached || !matched, "{policy:?} {stack:?} {agent:?}");
                missed += usize::from(!is_reached);
            }
        }
        assert!(missed > 5_000, "the index spares work: {missed}");
        assert_eq!(DirectTarget.reach(&stack), Reach::NONE);
    }

    type Combination = (Option<TargetingRule>, usize, usize, usize, usize);

    fn combinations(maps: &[BTreeMap<String, String>]) -> Vec<Combination> {
        let mut all = Vec::new();
        for rule in rules() {
            for n in 0..maps.len().pow(4) {
                let digit = |place: u32| n / maps.len().pow(place) % maps.len();
                all.push((rule.clone(), digit(0), digit(1), digit(2), digit(3)));
            }
        }
        all
    }

    #[test]
    fn reach_is_joined() {
        let having = |numbers: &[u64]| Reach::Having(numbers.iter().map(|it| Attribute(*it)).collect());
        for (one, other, or, and) in [
            (Reach::Every, Reach::Every, Reach::Every, Reach::Every),
            (Reach::Every, having(&[1]), Reach::Every, having(&[1])),
            (having(&[1]), Reach::Every, Reach::Every, having(&[1])),
            (having(&[1]), having(&[2, 3]), having(&[1, 2, 3]), having(&[1])),
            (having(&[1, 2]), having(&[3]), having(&[1, 2, 3]), having(&[3])),
            (Reach::NONE, having(&[3]), having(&[3]), Reach::NONE),
        ] {
            assert_eq!(one.clone().or(other.clone()), or, "{one:?} or {other:?}");
            assert_eq!(one.clone().and(other.clone()), and, "{one:?} and {other:?}");
        }
        assert_ne!(Attribute::label("a", "b"), Attribute::annotation("a", "b"));
        assert_ne!(Attribute::label("a", "bc"), Attribute::label("ab", "c"));
    }
}

//! The decision.

use crate::desired::{Facts, Match, Why};
use crate::model::AssignmentState;

/// What an agent should hold of a stack, and the rule that decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired<R> {
    /// The agent applies this revision.
    Revision {
        /// The revision.
        revision: R,
        /// The rule that decided.
        why: Why,
    },
    /// The agent keeps what it holds: it applies, prunes and removes nothing.
    Hold {
        /// The rule that decided.
        why: Why,
    },
    /// The agent removes the stack.
    Remove {
        /// The rule that decided.
        why: Why,
        /// Whether a person or program ordered the removal explicitly.
        confirmed: bool,
    },
    /// The agent does not hear of the stack: it holds nothing of it and should get nothing.
    Absent {
        /// The rule that decided.
        why: Why,
    },
}

impl<R> Desired<R> {
    /// The rule that decided.
    pub fn why(&self) -> Why {
        match self {
            Self::Revision { why, .. } | Self::Hold { why } | Self::Remove { why, .. } | Self::Absent { why } => *why,
        }
    }

    /// The same decision about what stands for the revision otherwise.
    pub fn map<T>(self, revision: impl FnOnce(R) -> T) -> Desired<T> {
        match self {
            Self::Revision { revision: it, why } => Desired::Revision { revision: revision(it), why },
            Self::Hold { why } => Desired::Hold { why },
            Self::Remove { why, confirmed } => Desired::Remove { why, confirmed },
            Self::Absent { why } => Desired::Absent { why },
        }
    }

    /// The revision to apply; `None` if there is none.
    pub fn revision(&self) -> Option<&R> {
        match self {
            Self::Revision { revision, .. } => Some(revision),
            Self::Hold { .. } | Self::Remove { .. } | Self::Absent { .. } => None,
        }
    }
}

/// Decides what an agent should hold of a stack.
///
/// The first of these rules that applies decides:
///
/// 1. A deleted stack, an agent that may not serve the stack, and a removed target: remove.
/// 2. A suspended stack, environment or agent: hold. No further agent gets the stack.
/// 3. An agent that nothing selects any more: hold until the loss is decided, then remove, unconfirmed.
/// 4. A pin: its revision.
/// 5. A gated pair: the stable revision of the agent's environment, and hold before there is one.
/// 6. The newest revision.
///
/// A pair that was never listed is absent where others are removed or held. What is undecided is never removed.
pub fn decide<R>(facts: Facts<R>) -> Desired<R> {
    let Facts { stack, agent, environment, pair } = facts;
    let is_listed = pair.assignment == Some(AssignmentState::Listed);
    let is_lost = pair.assignment == Some(AssignmentState::Lost);
    let may_hold = !matches!(pair.assignment, None | Some(AssignmentState::Gone));
    let undo = |why| match may_hold {
        true => Desired::Remove { why, confirmed: !(is_listed || is_lost) || !stack.is_active },
        false => Desired::Absent { why },
    };
    let wait = |why| if may_hold { Desired::Hold { why } } else { Desired::Absent { why } };
    if !stack.is_active {
        return undo(Why::StackDeleted);
    }
    match pair.matched {
        Match::NotPermitted => return undo(Why::NotPermitted),
        Match::NotSelected if !(is_listed || is_lost) => {
            return undo(if may_hold { Why::Withdrawn } else { Why::NotSelected });
        }
        Match::Selected if agent.is_cordoned && !is_listed => return undo(Why::AgentCordoned),
        Match::Selected | Match::NotSelected => {}
    }
    let suspended = [
        (stack.is_suspended, Why::StackSuspended),
        (environment.is_suspended, Why::EnvironmentSuspended),
        (agent.is_suspended, Why::AgentSuspended),
    ];
    if let Some((_, why)) = suspended.into_iter().find(|(is_suspended, _)| *is_suspended) {
        return wait(why);
    }
    if pair.matched == Match::NotSelected {
        return if is_lost { undo(Why::NotSelected) } else { wait(Why::LossUndecided) };
    }
    if let Some(revision) = pair.pin {
        return Desired::Revision { revision, why: Why::Pinned };
    }
    let is_gated = stack.is_gated || environment.is_protected;
    match if is_gated { environment.stable } else { stack.newest } {
        Some(revision) => Desired::Revision { revision, why: if is_gated { Why::Stable } else { Why::Newest } },
        None => wait(if is_gated { Why::NoStable } else { Why::NothingPublished }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::desired::{AgentFacts, EnvironmentFacts, PairFacts, StackFacts};
    use AssignmentState::{Abandoned, Gone, Listed, Lost, Withdrawn};

    /// An immediate stack with newest revision 3 that the agent holds; stable is 2 and nothing is pinned.
    const HELD: Facts<u8> = Facts {
        stack: StackFacts { is_active: true, is_gated: false, is_suspended: false, newest: Some(3) },
        agent: AgentFacts { is_cordoned: false, is_suspended: false },
        environment: EnvironmentFacts { is_protected: false, is_suspended: false, stable: Some(2) },
        pair: PairFacts { matched: Match::Selected, assignment: Some(Listed), pin: None },
    };

    type Change = fn(&mut Facts<u8>);

    fn changed(changes: &[Change]) -> Facts<u8> {
        let mut facts = HELD;
        changes.iter().for_each(|change| change(&mut facts));
        facts
    }

    fn shown(desired: Desired<u8>) -> String {
        match desired {
            Desired::Revision { revision, why } => format!("{revision} {why}"),
            Desired::Hold { why } => format!("hold {why}"),
            Desired::Remove { why, confirmed } => format!("remove{} {why}", if confirmed { "!" } else { "" }),
            Desired::Absent { why } => format!("absent {why}"),
        }
    }

    const NEW: Change = |it| it.pair.assignment = None;
    const GONE: Change = |it| it.pair.assignment = Some(Gone);
    const LOST: Change = |it| it.pair.assignment = Some(Lost);
    const WITHDRAWN: Change = |it| it.pair.assignment = Some(Withdrawn);
    const ABANDONED: Change = |it| it.pair.assignment = Some(Abandoned);
    const UNSELECTED: Change = |it| it.pair.matched = Match::NotSelected;
    const FORBIDDEN: Change = |it| it.pair.matched = Match::NotPermitted;
    const DELETED: Change = |it| it.stack.is_active = false;
    const CORDONED: Change = |it| it.agent.is_cordoned = true;
    const PINNED: Change = |it| it.pair.pin = Some(1);
    const GATED: Change = |it| it.stack.is_gated = true;
    const PROTECTED: Change = |it| it.environment.is_protected = true;
    const UNSTABLE: Change = |it| it.environment.stable = None;
    const EMPTY: Change = |it| it.stack.newest = None;
    const STACK_OFF: Change = |it| it.stack.is_suspended = true;
    const ENVIRONMENT_OFF: Change = |it| it.environment.is_suspended = true;
    const AGENT_OFF: Change = |it| it.agent.is_suspended = true;

    #[test]
    fn first_rule_that_applies_decides() {
        let table: &[(&[Change], &str)] = &[
            (&[], "3 newest"),
            (&[NEW], "3 newest"),
            (&[GONE], "3 newest"),
            (&[LOST], "3 newest"),
            (&[WITHDRAWN], "3 newest"),
            (&[ABANDONED], "3 newest"),
            (&[EMPTY], "hold nothing_published"),
            (&[EMPTY, NEW], "absent nothing_published"),
            (&[EMPTY, GONE], "absent nothing_published"),
            (&[EMPTY, LOST], "hold nothing_published"),
            (&[EMPTY, WITHDRAWN], "hold nothing_published"),
            (&[GATED], "2 stable"),
            (&[GATED, NEW], "2 stable"),
            (&[PROTECTED], "2 stable"),
            (&[GATED, PROTECTED], "2 stable"),
            (&[GATED, EMPTY], "2 stable"),
            (&[UNSTABLE], "3 newest"),
            (&[GATED, UNSTABLE], "hold no_stable"),
            (&[PROTECTED, UNSTABLE], "hold no_stable"),
            (&[GATED, UNSTABLE, NEW], "absent no_stable"),
            (&[PROTECTED, UNSTABLE, GONE], "absent no_stable"),
            (&[GATED, UNSTABLE, ABANDONED], "hold no_stable"),
            (&[PINNED], "1 pinned"),
            (&[PINNED, NEW], "1 pinned"),
            (&[PINNED, GATED, UNSTABLE], "1 pinned"),
            (&[PINNED, EMPTY], "1 pinned"),
            (&[PINNED, UNSELECTED], "hold loss_undecided"),
            (&[PINNED, UNSELECTED, LOST], "remove not_selected"),
            (&[PINNED, STACK_OFF], "hold stack_suspended"),
            (&[UNSELECTED], "hold loss_undecided"),
            (&[UNSELECTED, EMPTY], "hold loss_undecided"),
            (&[UNSELECTED, GATED], "hold loss_undecided"),
            (&[UNSELECTED, LOST], "remove not_selected"),
            (&[UNSELECTED, LOST, EMPTY], "remove not_selected"),
            (&[UNSELECTED, LOST, GATED, UNSTABLE], "remove not_selected"),
            (&[UNSELECTED, NEW], "absent not_selected"),
            (&[UNSELECTED, GONE], "absent not_selected"),
            (&[UNSELECTED, WITHDRAWN], "remove! withdrawn"),
            (&[UNSELECTED, ABANDONED], "remove! withdrawn"),
            (&[FORBIDDEN], "remove not_permitted"),
            (&[FORBIDDEN, LOST], "remove not_permitted"),
            (&[FORBIDDEN, NEW], "absent not_permitted"),
            (&[FORBIDDEN, WITHDRAWN], "remove! not_permitted"),
            (&[FORBIDDEN, PINNED], "remove not_permitted"),
            (&[DELETED], "remove! stack_deleted"),
            (&[DELETED, NEW], "absent stack_deleted"),
            (&[DELETED, GONE], "absent stack_deleted"),
            (&[DELETED, LOST], "remove! stack_deleted"),
            (&[DELETED, WITHDRAWN], "remove! stack_deleted"),
            (&[DELETED, FORBIDDEN], "remove! stack_deleted"),
            (&[DELETED, PINNED], "remove! stack_deleted"),
            (&[CORDONED], "3 newest"),
            (&[CORDONED, NEW], "absent agent_cordoned"),
            (&[CORDONED, GONE], "absent agent_cordoned"),
            (&[CORDONED, LOST], "remove agent_cordoned"),
            (&[CORDONED, WITHDRAWN], "remove! agent_cordoned"),
            (&[CORDONED, ABANDONED], "remove! agent_cordoned"),
            (&[CORDONED, UNSELECTED], "hold loss_undecided"),
            (&[CORDONED, UNSELECTED, LOST], "remove not_selected"),
            (&[CORDONED, PINNED], "1 pinned"),
            (&[CORDONED, NEW, PINNED], "absent agent_cordoned"),
        ];
        for (n, (changes, expected)) in table.iter().enumerate() {
            assert_eq!(shown(decide(changed(changes))), *expected, "row {n}");
        }
    }

    #[test]
    fn suspended_pair_is_frozen() {
        let suspensions: [(&[Change], &str); 5] = [
            (&[STACK_OFF], "stack_suspended"),
            (&[ENVIRONMENT_OFF], "environment_suspended"),
            (&[AGENT_OFF], "agent_suspended"),
            (&[ENVIRONMENT_OFF, AGENT_OFF], "environment_suspended"),
            (&[STACK_OFF, ENVIRONMENT_OFF, AGENT_OFF], "stack_suspended"),
        ];
        for (suspended, why) in suspensions {
            let table: &[(&[Change], String)] = &[
                (&[], format!("hold {why}")),
                (&[NEW], format!("absent {why}")),
                (&[GONE], format!("absent {why}")),
                (&[WITHDRAWN], format!("hold {why}")),
                (&[ABANDONED], format!("hold {why}")),
                (&[GATED], format!("hold {why}")),
                (&[GATED, UNSTABLE], format!("hold {why}")),
                (&[EMPTY], format!("hold {why}")),
                (&[PINNED], format!("hold {why}")),
                // A lost label is no order: the agent keeps the stack.
                (&[UNSELECTED], format!("hold {why}")),
                (&[UNSELECTED, LOST], format!("hold {why}")),
                (&[LOST], format!("hold {why}")),
                (&[UNSELECTED, NEW], "absent not_selected".to_owned()),
                (&[CORDONED], format!("hold {why}")),
                // Explicit orders are carried out.
                (&[UNSELECTED, WITHDRAWN], "remove! withdrawn".to_owned()),
                (&[CORDONED, WITHDRAWN], "remove! agent_cordoned".to_owned()),
                (&[FORBIDDEN], "remove not_permitted".to_owned()),
                (&[DELETED], "remove! stack_deleted".to_owned()),
            ];
            for (changes, expected) in table {
                let all: Vec<Change> = changes.iter().chain(suspended).copied().collect();
                assert_eq!(shown(decide(changed(&all))), *expected, "{why}");
            }
        }
    }

    /// Every combination of facts.
    fn every() -> Vec<Facts<u8>> {
        let mut all = vec![HELD];
        let choices: &[&[Change]] = &[
            &[|_| {}, DELETED],
            &[|_| {}, GATED],
            &[|_| {}, STACK_OFF],
            &[|_| {}, EMPTY],
            &[|_| {}, CORDONED],
            &[|_| {}, AGENT_OFF],
            &[|_| {}, PROTECTED],
            &[|_| {}, ENVIRONMENT_OFF],
            &[|_| {}, UNSTABLE],
            &[|_| {}, UNSELECTED, FORBIDDEN],
            &[|_| {}, NEW, GONE, LOST, WITHDRAWN, ABANDONED],
            &[|_| {}, PINNED],
        ];
        for choice in choices {
            let with = |facts: &Facts<u8>| choice.iter().map(|change| (*facts, change)).collect::<Vec<_>>();
            let next = all.iter().flat_map(with).map(|(mut facts, change)| {
                change(&mut facts);
                facts
            });
            all = next.collect();
        }
        all
    }

    #[test]
    fn every_combination_keeps_the_invariants() {
        let (mut whys, mut count) = (BTreeSet::new(), 0);
        for facts in every() {
            let desired = decide(facts);
            let is_held = !matches!(facts.pair.assignment, None | Some(Gone));
            whys.insert(desired.why());
            count += 1;
            match desired {
                Desired::Absent { .. } => assert!(!is_held, "an agent that may hold the stack hears of it: {facts:?}"),
                Desired::Hold { .. } => assert!(is_held, "only what is held can be kept: {facts:?}"),
                Desired::Remove { confirmed, .. } => {
                    assert!(is_held, "{facts:?}");
                    let is_implicit = matches!(facts.pair.assignment, Some(Listed | Lost));
                    assert_eq!(confirmed, !facts.stack.is_active || !is_implicit, "{facts:?}");
                    let is_listed = facts.pair.assignment == Some(Listed);
                    let is_kept = match facts.pair.matched {
                        Match::Selected => !facts.agent.is_cordoned || is_listed,
                        Match::NotSelected => is_listed,
                        Match::NotPermitted => false,
                    };
                    let is_undecided = facts.stack.is_active && is_kept;
                    assert!(!is_undecided, "what is undecided is never removed: {facts:?}");
                }
                Desired::Revision { revision, .. } => {
                    let is_off = facts.stack.is_suspended || facts.environment.is_suspended || facts.agent.is_suspended;
                    assert!(!is_off && facts.stack.is_active && facts.pair.matched == Match::Selected, "{facts:?}");
                    assert!([facts.pair.pin, facts.environment.stable, facts.stack.newest].contains(&Some(revision)));
                }
            }
        }
        assert_eq!(count, 2usize.pow(10) * 3 * 6);
        assert_eq!(whys, BTreeSet::from(Why::ALL), "each rule decides somewhere");
    }

    #[test]
    fn decision_names_its_revision_and_its_rule() {
        let of = |changes: &[Change]| {
            let desired = decide(changed(changes));
            let mapped = desired.map(|revision| revision + 10);
            assert_eq!(mapped.why(), desired.why());
            assert_eq!(mapped.revision().copied(), desired.revision().map(|it| it + 10));
            (desired.revision().copied(), desired.why())
        };
        assert_eq!(of(&[]), (Some(3), Why::Newest));
        assert_eq!(of(&[STACK_OFF]), (None, Why::StackSuspended));
        assert_eq!(of(&[DELETED]), (None, Why::StackDeleted));
        assert_eq!(of(&[NEW, UNSELECTED]), (None, Why::NotSelected));
        let words: BTreeSet<&str> = Why::ALL.iter().map(|why| why.explained()).collect();
        assert_eq!(words.len(), Why::ALL.len());
    }
}

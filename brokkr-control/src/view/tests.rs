//! Which folds wake which agents, and what they then hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use brokkr_core::model::{
    Agent, AgentStatus, Assignment, AssignmentState, Change, Environment, EnvironmentSet, FrozenRevision,
    GeneratorPrincipal, Labels, Pin, ReleaseMode, Revision, Stack, StackPhase, StackRelease, Version,
};
use brokkr_core::protocol::EntryAction;
use brokkr_core::store::ViewToken;
use brokkr_core::store::conformance::sample;
use brokkr_core::targeting::{Candidate, PolicyError, Reach, TargetingPolicy, Verdict, default_policy};
use tokio::sync::watch;

use super::FleetView;

/// A view of one environment with one agent in it, an agent without an environment, and a stack that reaches both.
struct Scene {
    view: FleetView,
    production: Environment,
    inside: Agent,
    outside: Agent,
    stack: Stack,
    news: [watch::Receiver<u64>; 2],
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let map: BTreeMap<String, String> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    map.try_into().expect("labels")
}

impl Scene {
    fn new(change: impl FnOnce(&mut Stack)) -> Self {
        let production = sample::environment("production");
        let web = || labels(&[("tier", "web")]);
        let place = Some(production.name.clone());
        let inside = Agent { labels: web(), environment: place, ..sample::agent("inside") };
        let outside = Agent { labels: web(), environment: None, ..sample::agent("outside") };
        let mut stack = Stack { labels: web(), ..sample::stack("web") };
        change(&mut stack);
        let view = FleetView::new(Arc::new(default_policy()), Instant::now());
        let entities = vec![
            Change::from(production.clone()),
            inside.clone().into(),
            outside.clone().into(),
            stack.clone().into(),
            sample::object(&stack, 1).into(),
        ];
        view.reset(entities, ViewToken::nothing(), Instant::now());
        let news = [&inside, &outside].map(|agent| view.news_of(agent.id).expect("the agent is known"));
        let mut scene = Self { view, production, inside, outside, stack, news };
        scene.woken();
        scene
    }

    fn fold(&self, entities: Vec<Change>) {
        self.view.fold(entities, ViewToken::nothing(), Instant::now());
    }

    /// Records that both agents were listed, as their polls do.
    fn list(&mut self) {
        for agent in [&self.inside, &self.outside] {
            self.fold(vec![sample::assignment(&self.stack, agent).into()]);
        }
        self.woken();
    }

    /// Which agents were woken since the last call: `i`nside, `o`utside.
    fn woken(&mut self) -> String {
        let mut woken = String::new();
        for (name, news) in ["i", "o"].into_iter().zip(&mut self.news) {
            if news.has_changed().expect("a sender") {
                news.mark_unchanged();
                woken.push_str(name);
            }
        }
        woken
    }

    /// The action and the revision of the stack on the inside and the outside agent.
    fn held(&self) -> [String; 2] {
        [&self.inside, &self.outside].map(|agent| {
            let (_, wanted) = self.view.read().wanted(agent.id).expect("the agent is known");
            match wanted.state.entries.first() {
                None => "nothing".to_owned(),
                Some(entry) => match entry.action {
                    EntryAction::Apply => format!("revision {}", entry.revision.map_or(0, Revision::get)),
                    EntryAction::Hold => "hold".to_owned(),
                    EntryAction::Remove => "remove".to_owned(),
                },
            }
        })
    }

    fn release(&self, environment: Option<&Environment>, stable: Option<u64>) -> StackRelease {
        let stable = stable.map(|revision| FrozenRevision::from(&sample::object(&self.stack, revision)));
        StackRelease { stable, suspended: None, ..sample::stack_release(&self.stack, environment) }
    }
}

fn gated(stack: &mut Stack) {
    stack.release = ReleaseMode::Gated;
}

#[test]
fn publication_wakes_agents_that_follow_the_newest_revision() {
    let mut scene = Scene::new(|_| {});
    scene.list();
    scene.fold(vec![sample::object(&scene.stack, 2).into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("io", ["revision 2", "revision 2"].map(str::to_owned)));
    scene.fold(vec![sample::object(&scene.stack, 1).into()]);
    assert_eq!(scene.woken(), "", "an older revision");
}

#[test]
fn gated_publication_wakes_nobody() {
    let mut scene = Scene::new(gated);
    assert_eq!(scene.held(), ["nothing", "nothing"].map(str::to_owned));
    scene.fold(vec![sample::object(&scene.stack, 2).into()]);
    assert_eq!(scene.woken(), "", "nothing is released");
    scene.fold(vec![scene.release(Some(&scene.production), Some(1)).into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("i", ["revision 1", "nothing"].map(str::to_owned)));
    scene.fold(vec![sample::object(&scene.stack, 3).into()]);
    assert_eq!(scene.woken(), "");
    let reason = "another".to_owned();
    let same = scene.view.releases_of(scene.stack.id).remove(0);
    scene.fold(vec![StackRelease { reason, version: Version::new(2), ..(*same).clone() }.into()]);
    assert_eq!(scene.woken(), "", "the same revision is stable");
    scene.fold(vec![scene.release(None, Some(2)).into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("o", ["revision 1", "revision 2"].map(str::to_owned)));
}

#[test]
fn undecided_pair_is_held_if_it_was_listed() {
    let mut scene = Scene::new(|_| {});
    scene.list();
    gated(&mut scene.stack);
    scene.fold(vec![scene.stack.clone().into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("io", ["hold", "hold"].map(str::to_owned)));
    let (_, wanted) = scene.view.read().wanted(scene.inside.id).expect("the agent is known");
    assert!(wanted.holds && wanted.unlisted.is_empty() && wanted.state.defect(scene.inside.id).is_none());
}

#[test]
fn protection_with_its_releases_wakes_nobody() {
    let mut scene = Scene::new(|_| {});
    scene.list();
    let newest = scene.view.newest_in(&scene.production.name);
    let (_, present) = &newest[&scene.stack.id];
    let protected = Environment { protected: true, version: Version::new(2), ..scene.production.clone() };
    let release = StackRelease { stable: Some(present.clone()), ..scene.release(Some(&protected), None) };
    let before = scene.view.read().wanted(scene.inside.id).map(|(_, wanted)| wanted.state.digest);
    scene.fold(vec![release.into(), protected.into()]);
    assert_eq!(scene.held(), ["revision 1", "revision 1"].map(str::to_owned));
    assert_eq!(scene.view.read().wanted(scene.inside.id).map(|(_, wanted)| wanted.state.digest), before);
    scene.woken();
    scene.fold(vec![sample::object(&scene.stack, 2).into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("o", ["revision 1", "revision 2"].map(str::to_owned)));
}

#[test]
fn pin_wakes_its_agent_only() {
    let mut scene = Scene::new(|_| {});
    scene.fold(vec![sample::object(&scene.stack, 2).into()]);
    scene.list();
    let pin = sample::pin(&scene.stack, &scene.outside);
    scene.fold(vec![pin.clone().into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("o", ["revision 2", "revision 1"].map(str::to_owned)));
    scene.fold(vec![sample::object(&scene.stack, 3).into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("i", ["revision 3", "revision 1"].map(str::to_owned)));
    let ending = scene.view.ending_pins(9);
    assert_eq!(ending.iter().map(|it| (it.id, it.expires_at)).collect::<Vec<_>>(), [(pin.id, pin.expires_at)]);
    assert_eq!(scene.view.ending_pins(0).len(), 0);
    scene.fold(vec![Pin { deleted_at: Some(sample::time(0)), version: Version::new(2), ..pin }.into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("o", ["revision 3", "revision 3"].map(str::to_owned)));
    assert!(scene.view.pins_of(scene.stack.id).is_empty());
}

#[test]
fn suspensions_freeze_what_is_held() {
    let mut scene = Scene::new(|_| {});
    scene.list();
    let mut agent = scene.outside.clone();
    agent.suspended = Some(sample::suspension());
    scene.fold(vec![agent.into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("o", ["revision 1", "hold"].map(str::to_owned)));
    let suspended = Some(sample::suspension());
    let release = StackRelease { suspended, ..scene.release(Some(&scene.production), None) };
    scene.fold(vec![release.into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("i", ["hold", "hold"].map(str::to_owned)));
    scene.fold(vec![sample::object(&scene.stack, 2).into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("", ["hold", "hold"].map(str::to_owned)));
    scene.fold(vec![Stack { phase: StackPhase::Deleting, ..scene.stack.clone() }.into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("io", ["remove", "remove"].map(str::to_owned)));
}

#[test]
fn loss_is_held_until_it_is_decided() {
    let mut scene = Scene::new(|_| {});
    scene.list();
    scene.fold(vec![Agent { labels: Labels::default(), ..scene.outside.clone() }.into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("o", ["revision 1", "hold"].map(str::to_owned)));
    let undecided = scene.view.undecided_of_stack(scene.stack.id);
    assert_eq!(undecided.iter().map(|it| it.agent.id).collect::<Vec<_>>(), [scene.outside.id]);
    assert_eq!(scene.view.matches(&undecided[0]), Some(false));
    assert_eq!(scene.view.undecided_of_agent(scene.outside.id).len(), 1);
    assert_eq!(scene.view.undecided_of_agent(scene.inside.id).len(), 0);
    let lost = Assignment {
        state: AssignmentState::Lost,
        version: Version::new(2),
        ..sample::assignment(&scene.stack, &scene.outside)
    };
    scene.fold(vec![lost.into()]);
    assert_eq!((scene.woken().as_str(), scene.held()), ("o", ["revision 1", "remove"].map(str::to_owned)));
    assert!(scene.view.undecided_of_stack(scene.stack.id).is_empty());
}

#[test]
fn isolated_generator_reaches_no_agent_elsewhere() {
    let mut scene = Scene::new(|_| {});
    scene.list();
    let mut generator = sample::generator("g");
    (generator.id, generator.environments) = (scene.stack.generator_id, None);
    scene.fold(vec![generator.clone().into()]);
    assert_eq!(scene.held(), ["revision 1", "revision 1"].map(str::to_owned));
    let only = EnvironmentSet::try_from(vec!["production".to_owned()]).expect("a set");
    let limited = GeneratorPrincipal { environments: Some(only), version: Version::new(2), ..generator };
    scene.fold(vec![limited.clone().into()]);
    assert_eq!(scene.held(), ["revision 1", "remove"].map(str::to_owned), "an order, not a loss");
    assert!(scene.view.undecided_of_stack(scene.stack.id).is_empty());
    scene.fold(vec![GeneratorPrincipal { environments: None, version: Version::new(3), ..limited }.into()]);
    assert_eq!(scene.held(), ["revision 1", "revision 1"].map(str::to_owned));
}

#[test]
fn agent_that_is_listed_is_not_woken_by_that() {
    let mut scene = Scene::new(|_| {});
    let listed = sample::assignment(&scene.stack, &scene.inside);
    scene.fold(vec![listed.clone().into()]);
    assert_eq!(scene.woken(), "");
    let (_, wanted) = scene.view.read().wanted(scene.inside.id).expect("the agent is known");
    assert!(wanted.unlisted.is_empty(), "the target state is computed again");
    let mut cordoned = scene.inside.clone();
    cordoned.status = AgentStatus::Cordoned;
    scene.fold(vec![cordoned.into(), Assignment { state: AssignmentState::Gone, ..listed }.into()]);
    assert_eq!(scene.held(), ["nothing", "revision 1"].map(str::to_owned));
    let environments = scene.view.environments_holding(scene.stack.id);
    assert_eq!(environments.len(), 0, "nobody is listed any more: {environments:?}");
    scene.list();
    let environments = scene.view.environments_holding(scene.stack.id);
    let names: Vec<_> = environments.iter().map(|it| it.as_ref().map(|it| it.name.to_string())).collect();
    assert_eq!(names, [None, Some("production".to_owned())]);
}

/// Counts evaluations.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl TargetingPolicy for Counting {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        default_policy().evaluate(candidate)
    }

    fn reach(&self, stack: &Stack) -> Reach {
        default_policy().reach(stack)
    }
}

#[test]
fn change_evaluates_only_agents_and_stacks_that_may_match() {
    let policy = Arc::new(Counting::default());
    let evaluations = || policy.0.swap(0, Ordering::Relaxed);
    let view = FleetView::new(policy.clone(), Instant::now());
    let fold = |entity: Change| view.fold(vec![entity], ViewToken::nothing(), Instant::now());
    let numbered = |n: usize| labels(&[("n", &n.to_string())]);
    let mut agents = Vec::new();
    for n in 0..100 {
        let agent = Agent { labels: numbered(n % 50), ..sample::agent(&format!("a{n}")) };
        fold(agent.clone().into());
        agents.push(agent);
    }
    assert_eq!(evaluations(), 0, "there are no stacks");
    let mut stack = Stack { labels: numbered(7), ..sample::stack("web") };
    fold(stack.clone().into());
    assert_eq!(evaluations(), 2, "two agents share the label");
    let direct = sample::target(&stack, &agents[0]);
    fold(direct.into());
    assert_eq!(evaluations(), 1);
    stack.labels = numbered(8);
    fold(stack.clone().into());
    assert_eq!(evaluations(), 5, "the agents that match now, those that matched before, and the direct target");
    let mut agent = agents[20].clone();
    agent.labels = numbered(8);
    fold(agent.clone().into());
    assert_eq!(evaluations(), 1);
    let matched = |view: &FleetView| view.pairs_of_stack(stack.id).iter().filter(|it| it.pair.matched).count();
    assert_eq!(matched(&view), 4);
    agent.labels = numbered(9);
    fold(agent.into());
    assert_eq!((evaluations(), matched(&view)), (1, 3));
    fold(Stack { phase: StackPhase::Deleting, ..stack.clone() }.into());
    assert_eq!(matched(&view), 0);
}

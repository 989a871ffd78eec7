//! Decision table: inventory, cluster and policies to step.

use brokkr_core::model::AgentId;
use serde_json::{Value, json};

use crate::apply::decide::*;
use crate::ownership::inventory::ManifestHash;
use crate::ownership::labels::{STACK_LABEL, field_manager};
use crate::samples::{Sample, manifest};

/// The inputs of a decision. The default is an object of ours in its desired state.
struct Case {
    sample: Sample,
    body: Value,
    entry: Option<Entry>,
    live: Option<Value>,
    policies: Policies,
    holder: Option<StackId>,
    is_foreign: bool,
    is_kept_out: bool,
    owner: Option<StackId>,
    gone_job: Option<Gone>,
}

fn fields() -> Value {
    json!({"f:data": {"f:k": {}}})
}

impl Case {
    fn of(body: Value) -> Self {
        let sample = Sample::new();
        let live = sample.applied(&body, fields());
        let prepared = sample.prepared(&body);
        let mut entry = Entry::new(EntryState::Held);
        entry.uid = Some("uid-1".to_owned());
        entry.manifest = Some(prepared.hash.clone());
        entry.fields = sample.live(&prepared, &live).fields;
        Self {
            sample,
            body,
            entry: Some(entry),
            live: Some(live),
            policies: Policies::default(),
            holder: None,
            is_foreign: false,
            is_kept_out: false,
            owner: None,
            gone_job: None,
        }
    }

    fn new() -> Self {
        let mut body = manifest("v1", "ConfigMap", "it");
        body["data"] = json!({"k": "1"});
        Self::of(body)
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn entry(&mut self) -> &mut Entry {
        self.entry.get_or_insert_with(|| Entry::new(EntryState::Held))
    }

    fn live(&mut self) -> &mut Value {
        self.live.get_or_insert_with(Value::default)
    }

    fn published_anew(&mut self) {
        self.entry().manifest = Some(ManifestHash::of(&json!("the former one")));
    }

    /// The cluster has a different object than the inventory.
    fn replaced(&mut self) {
        self.live()["metadata"]["uid"] = json!("uid-2");
    }

    /// The object in the cluster belongs to others.
    fn foreign(&mut self) {
        self.replaced();
        self.live()["metadata"]["labels"] = json!({});
        self.live()["metadata"]["managedFields"] =
            json!([{"manager": "human", "operation": "Update", "fieldsV1": fields()}]);
    }

    fn step(&self) -> Step {
        let prepared = self.sample.prepared(&self.body);
        let live = self.live.as_ref().map(|object| self.sample.live(&prepared, object));
        let at = Circumstances {
            agent: self.sample.agent,
            stack: self.sample.stack,
            policies: &self.policies,
            own_namespace: "brokkr-system",
            is_kept_out: self.is_kept_out,
            holder: self.holder,
            owner: self.owner,
            is_foreign: self.is_foreign,
            gone_job: self.gone_job.clone(),
        };
        step(&prepared, self.entry.as_ref(), live.as_ref(), &at)
    }

    /// The decision as text, with the reason of a problem.
    fn decided(&self) -> String {
        match self.step() {
            Step::Unchanged { ended: None } => "unchanged".to_owned(),
            Step::Unchanged { ended: Some(_) } => "unchanged, ended".to_owned(),
            Step::Yield { .. } => "yield".to_owned(),
            Step::Ended(JobEnd::Complete) => "complete".to_owned(),
            Step::Ended(JobEnd::Failed(_)) => "failed".to_owned(),
            Step::Create { drifted } => if drifted { "create again" } else { "create" }.to_owned(),
            Step::Update(existing) => format!("update{}", if existing.scaled { ", scaled" } else { "" }),
            Step::Correct(_) => "correct".to_owned(),
            Step::ReportDrift => "report drift".to_owned(),
            Step::Take { how, .. } => format!("take {how:?}"),
            Step::Use { .. } => "use".to_owned(),
            Step::Problem(problem) => format!("{}{}", if problem.waiting { "wait " } else { "" }, problem.reason),
        }
    }
}

fn check(cases: impl IntoIterator<Item = (&'static str, Case)>) {
    for (expected, case) in cases {
        let (entry, live) = (&case.entry, &case.live);
        assert_eq!(case.decided(), expected, "entry {entry:?}\nlive {live:?}\npolicies {:?}", case.policies);
    }
}

#[test]
fn own_object_follows_the_manifest() {
    let changed_by_others =
        |case: &mut Case| case.live()["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:x": {}});
    check([
        ("unchanged", Case::new()),
        ("update", Case::new().with(Case::published_anew)),
        ("update", Case::new().with(|it| it.entry().manifest = None)),
        ("update", Case::new().with(|it| it.live()["metadata"]["labels"][STACK_LABEL] = json!(StackId::generate()))),
        ("correct", Case::new().with(changed_by_others)),
        ("update", Case::new().with(changed_by_others).with(Case::published_anew)),
        ("report drift", Case::new().with(changed_by_others).with(|it| it.policies.drift = Drift::Report)),
        ("unchanged", Case::new().with(|it| it.entry().state = EntryState::Retained)),
        (
            "wait Terminating",
            Case::new().with(|it| it.live()["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
        ),
    ]);
}

#[test]
fn missing_object_is_created_or_drift() {
    let gone = || Case::new().with(|it| it.live = None);
    check([
        ("create", Case::new().with(|it| (it.live, it.entry) = (None, None))),
        ("create", gone().with(|it| it.entry().state = EntryState::Intent)),
        ("create", gone().with(|it| it.entry().manifest = None)),
        ("create again", gone()),
        ("create again", gone().with(Case::published_anew)),
        ("report drift", gone().with(|it| it.policies.drift = Drift::Report)),
        ("create again", gone().with(Case::published_anew).with(|it| it.policies.drift = Drift::Report)),
    ]);
}

#[test]
fn missing_job_is_decided_by_how_it_ended() {
    let job = || Case::of(manifest("batch/v1", "Job", "it"));
    let gone = |what: Gone| job().with(|it| (it.live, it.gone_job) = (None, Some(what)));
    let failed = || Gone::Ended(JobEnd::Failed("DeadlineExceeded".to_owned()));
    let complete = || Gone::Ended(JobEnd::Complete);
    let condition = json!({"conditions": [{"type": "Failed", "status": "True"}]});
    check([
        ("unchanged", job()),
        ("unchanged, ended", job().with(|it| it.live()["status"] = condition)),
        ("complete", gone(complete())),
        ("failed", gone(failed())),
        ("create again", gone(Gone::Unfinished)),
        ("report drift", gone(Gone::Unfinished).with(|it| it.policies.drift = Drift::Report)),
        ("wait JobGone", gone(Gone::Unknown)),
        ("create", gone(failed()).with(Case::published_anew)),
        ("create", gone(complete()).with(Case::published_anew)),
        ("create again", gone(Gone::Unfinished).with(Case::published_anew)),
        ("create again", gone(Gone::Unknown).with(Case::published_anew)),
        ("failed", gone(failed()).with(|it| it.policies.drift = Drift::Report)),
    ]);
}

#[test]
fn scaled_replicas_are_yielded() {
    let deployment = || {
        let mut body = manifest("apps/v1", "Deployment", "web");
        body["spec"] = json!({"replicas": 2, "template": {}});
        let mut case = Case::of(body.clone());
        // As first applied, with the number.
        let applied = case.sample.applied(&body, json!({"f:spec": {"f:replicas": {}, "f:template": {}}}));
        let prepared = case.sample.prepared(&body);
        case.entry().fields = case.sample.live(&prepared, &applied).fields;
        case.live = Some(applied);
        case
    };
    let scaled = |case: &mut Case| {
        case.live()["spec"]["replicas"] = json!(5);
        case.live()["metadata"]["managedFields"] = json!([
            {"manager": field_manager(case.sample.agent), "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}},
            {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ]);
    };
    let more_lost = |case: &mut Case| case.live()["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:x": {}});
    check([
        ("unchanged", deployment()),
        ("yield", deployment().with(scaled)),
        ("update, scaled", deployment().with(scaled).with(Case::published_anew)),
        ("correct", deployment().with(scaled).with(more_lost)),
    ]);
}

#[test]
fn foreign_object_is_taken_by_policy_only() {
    let foreign = || Case::new().with(Case::foreign).with(|it| it.entry = None);
    let adopt = |adopt| foreign().with(|it| it.policies.adopt = adopt);
    let of_another_agent = |case: &mut Case| {
        case.live()["metadata"]["managedFields"][0]["manager"] = json!(field_manager(AgentId::generate()));
    };
    check([
        ("NotOwned", foreign()),
        ("Replaced", Case::new().with(Case::foreign)),
        ("NotOwned", Case::new().with(Case::foreign).with(|it| it.entry().state = EntryState::Intent)),
        ("take Adopt", adopt(Adopt::Always)),
        ("take AdoptIfEqual", adopt(Adopt::IfEqual)),
        ("HeldByAnotherAgent", adopt(Adopt::Always).with(of_another_agent)),
        (
            "wait Terminating",
            adopt(Adopt::Always).with(|it| it.live()["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
        ),
    ]);
}

#[test]
fn labelled_object_is_taken_unless_copied() {
    let replaced = || Case::new().with(Case::replaced);
    check([
        // The inventory was lost.
        ("take Over", Case::new().with(|it| it.entry = None)),
        // A previous run created it and crashed before it recorded it.
        ("update", Case::new().with(|it| it.entry = Some(Entry::new(EntryState::Intent)))),
        // Its labels were copied: the inventory lists a different object.
        ("Replaced", replaced()),
        // With `replace_immutable`, the replacement may not be recorded yet.
        ("take Over", replaced().with(|it| it.policies.replace_immutable = true)),
    ]);
}

#[test]
fn object_of_another_stack_is_left_alone() {
    let others = |case: &mut Case| {
        case.entry = None;
        case.owner = Some(StackId::generate());
    };
    let handed_over = |case: &mut Case| {
        case.entry = None;
        case.holder = Some(StackId::generate());
    };
    let namespace = || Case::of(manifest("v1", "Namespace", "place"));
    check([
        ("HeldByStack", Case::new().with(others)),
        ("HeldByStack", Case::new().with(others).with(|it| it.live = None)),
        ("use", namespace().with(others)),
        ("wait HeldByStack", namespace().with(others).with(|it| it.live = None)),
        ("take Over", Case::new().with(handed_over)),
        ("unchanged", Case::new().with(|it| it.owner = Some(it.sample.stack))),
        // Another generator's: never taken over, whatever the policy.
        ("HeldByStack", Case::new().with(others).with(|it| it.is_foreign = true)),
        ("HeldByStack", Case::new().with(handed_over).with(|it| it.is_foreign = true)),
        ("HeldByStack", Case::new().with(|it| it.is_foreign = true).with(|it| it.policies.adopt = Adopt::Always)),
        ("HeldByStack", Case::new().with(|it| it.is_foreign = true).with(|it| it.live = None)),
        ("use", namespace().with(|it| it.is_foreign = true)),
        ("unchanged", Case::new().with(|it| it.holder = Some(it.sample.stack))),
    ]);
}

#[test]
fn existing_namespace_is_used() {
    let namespace = || Case::of(manifest("v1", "Namespace", "place"));
    check([
        ("use", namespace().with(Case::foreign).with(|it| it.entry = None)),
        ("use", namespace().with(Case::foreign).with(|it| it.policies.adopt = Adopt::Always)),
        ("unchanged", namespace()),
    ]);
}

#[test]
fn agent_records_are_reserved() {
    let lease = |name: &str, namespace: &str| {
        let mut body = manifest("coordination.k8s.io/v1", "Lease", name);
        body["metadata"]["namespace"] = json!(namespace);
        Case::of(body)
    };
    let named = |kind: &str, name: &str, namespace: &str| {
        let mut body = manifest("v1", kind, name);
        body["metadata"]["namespace"] = json!(namespace);
        Case::of(body)
    };
    check([
        ("Reserved", named("ConfigMap", "brokkr-x", "brokkr-system")),
        ("Reserved", named("ConfigMap", "brokkr-x", "brokkr-system").with(|it| it.live = None)),
        ("unchanged", named("ConfigMap", "brokkr-x", "elsewhere")),
        ("unchanged", named("ConfigMap", "other", "brokkr-system")),
        ("Reserved", lease("brokkr-x", "brokkr-system")),
        ("unchanged", lease("brokkr-x", "elsewhere")),
    ]);
}

#[test]
fn tenants_are_kept_out_of_the_agents_namespace() {
    let within = |namespace: &str| {
        let mut body = manifest("v1", "ConfigMap", "it");
        body["metadata"]["namespace"] = json!(namespace);
        Case::of(body).with(|it| it.is_kept_out = true)
    };
    let named = |name: &str| Case::of(manifest("v1", "Namespace", name)).with(|it| it.is_kept_out = true);
    check([
        ("Reserved", within("brokkr-system")),
        ("Reserved", within("brokkr-system").with(|it| it.live = None)),
        ("Reserved", named("brokkr-system")),
        ("unchanged", within("brokkr-systems")),
        ("unchanged", named("brokkr")),
    ]);
    // Manifests with these names are refused before. The decision does not depend on it.
    let place = |namespace: &str| ObjectRef {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: "it".to_owned(),
    };
    for spelling in ["Brokkr-System", " brokkr-system ", "brokkr-system\n", "BROKKR-SYSTEM"] {
        assert!(is_within(&place(spelling), "brokkr-system"), "{spelling:?}");
    }
}

//! Small valid entities for tests.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::model::{
    ActorRef, Agent, AgentEvent, AgentId, AgentSession, AgentSilence, AgentStatus, Annotations, ApiKey, Assignment,
    AssignmentState, AuditId, AuditOutcome, AuditRecord, Change, DeploymentObject, DeploymentObjectId, Digest,
    Environment, EnvironmentId, EventAction, EventId, EventOutcome, FrozenRevision, GeneratorId, GeneratorPrincipal,
    Grant, GrantId, GrantRules, InstanceId, JoinToken, JoinTokenId, KeyId, KeyOwner, Labels, Name, Pin, PinId,
    Policies, Provenance, ReleaseMode, RequestId, Revision, Stack, StackId, StackPhase, StackRelease, StackReleaseId,
    StackStatus, Suspension, Target, Timestamp, Version,
};
use crate::store::Commit;

fn name(text: &str) -> Name {
    text.parse().expect("the samples' names are valid")
}

/// A time with microseconds, `n` seconds after a fixed time.
pub fn time(n: i64) -> Timestamp {
    Timestamp::new(jiff::Timestamp::from_microsecond(1_700_000_000_123_456 + n * 1_000_000).expect("in range"))
}

/// A generator.
pub fn generator(called: &str) -> GeneratorPrincipal {
    GeneratorPrincipal {
        id: GeneratorId::generate(),
        name: name(called),
        description: "ä description".to_owned(),
        environments: None,
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// An environment.
pub fn environment(called: &str) -> Environment {
    Environment {
        id: EnvironmentId::generate(),
        name: name(called),
        description: "ä description".to_owned(),
        rank: 1,
        values: serde_json::Map::from_iter([("domain".to_owned(), "example.com".into())]),
        protected: false,
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// A grant.
pub fn grant(called: &str) -> Grant {
    Grant {
        id: GrantId::generate(),
        name: name(called),
        description: "ä description".to_owned(),
        rules: GrantRules::default(),
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// A join token.
pub fn join_token(called: &str) -> JoinToken {
    JoinToken {
        id: JoinTokenId::generate(),
        name: name(called),
        description: "ä description".to_owned(),
        short_id: called.to_owned(),
        hash: Digest::of(called.as_bytes()),
        max_uses: 10,
        uses: 0,
        expires_at: time(1_000),
        environment: Some(name("staging")),
        labels: Labels::default(),
        annotations: Annotations::default(),
        registrations: BTreeMap::from([(GeneratorId::SYSTEM, GrantId::UNRESTRICTED)]),
        keys_expire_at: None,
        keys_environments: None,
        created_by: ActorRef::System,
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// An API key of an owner.
pub fn key(owner: KeyOwner, short_id: &str) -> ApiKey {
    ApiKey {
        id: KeyId::generate(),
        short_id: short_id.to_owned(),
        hash: Digest::of(short_id.as_bytes()),
        name: name("sample"),
        owner,
        subject: Some("jane@example.com".to_owned()),
        scopes: owner.kind().default_scopes(),
        source_networks: Vec::new(),
        environments: None,
        expires_at: Some(time(1_000)),
        version: Version::FIRST,
        created_at: time(0),
        deleted_at: None,
    }
}

/// An active stack of the system generator.
pub fn stack(called: &str) -> Stack {
    Stack {
        id: StackId::generate(),
        generator_id: GeneratorId::SYSTEM,
        name: name(called),
        description: String::new(),
        labels: Labels::default(),
        annotations: Annotations::default(),
        targeting: None,
        policies: Policies::default(),
        depends_on: Vec::new(),
        release: ReleaseMode::Immediate,
        suspended: None,
        deletion_protection: false,
        expires_at: Some(time(3600)),
        expiry_announced_at: Some(time(1)),
        phase: StackPhase::Active,
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// An active agent registered with the system generator.
pub fn agent(called: &str) -> Agent {
    Agent {
        id: AgentId::generate(),
        name: name(called),
        cluster_name: String::new(),
        environment: None,
        labels: Labels::default(),
        annotations: Annotations::default(),
        status: AgentStatus::Active,
        suspended: None,
        registrations: BTreeMap::from([(GeneratorId::SYSTEM, GrantId::UNRESTRICTED)]),
        confirmed_epoch: None,
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// A session of an agent.
pub fn session(agent: &Agent) -> AgentSession {
    AgentSession {
        agent_id: agent.id,
        cluster_uid: "uid".to_owned(),
        instance_id: InstanceId::generate(),
        sequence: 1,
        superseded: vec![InstanceId::generate()],
        capabilities: BTreeSet::from(["one".to_owned()]),
        unknown_stacks: vec![StackId::generate()],
        version: Version::FIRST,
        started_at: time(0),
        updated_at: time(0),
    }
}

/// The content of the sample deployment object with this id.
pub fn content(id: DeploymentObjectId) -> Bytes {
    Bytes::from(format!("# object {id}\r\n\u{feff}ä"))
}

/// A deployment object.
pub fn object(stack: &Stack, revision: u64) -> DeploymentObject {
    let id = DeploymentObjectId::generate();
    let content = content(id);
    DeploymentObject {
        id,
        stack_id: stack.id,
        generator_id: stack.generator_id,
        revision: Revision::new(revision),
        digest: Digest::of(&content),
        size: content.len() as u64,
        object_count: 1,
        message: "why".to_owned(),
        provenance: Provenance::Rollback { of: Revision::FIRST },
        policies: stack.policies.clone(),
        depends_on: vec![stack.id],
        warnings: vec!["dropped status".to_owned()],
        created_by: ActorRef::System,
        created_at: time(0),
    }
}

/// A suspension.
pub fn suspension() -> Suspension {
    Suspension { reason: "ä freeze".to_owned(), by: ActorRef::System, at: time(1) }
}

/// The release of a stack in an environment, with revision 1 as stable.
pub fn stack_release(stack: &Stack, environment: Option<&Environment>) -> StackRelease {
    let environment_id = environment.map(|it| it.id);
    StackRelease {
        id: StackReleaseId::of(stack.id, environment_id),
        stack_id: stack.id,
        generator_id: stack.generator_id,
        environment_id,
        environment: environment.map(|it| it.name.clone()),
        stable: Some(FrozenRevision::from(&object(stack, 1))),
        earlier: Vec::new(),
        suspended: Some(suspension()),
        reason: "why".to_owned(),
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// A pin of a stack on an agent to revision 1.
pub fn pin(stack: &Stack, agent: &Agent) -> Pin {
    Pin {
        id: PinId::of(stack.id, agent.id),
        stack_id: stack.id,
        agent_id: agent.id,
        generator_id: stack.generator_id,
        revision: FrozenRevision::from(&object(stack, 1)),
        reason: "why".to_owned(),
        created_by: ActorRef::System,
        expires_at: Some(time(1_000)),
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    }
}

/// A direct target.
pub fn target(stack: &Stack, agent: &Agent) -> Target {
    Target {
        stack_id: stack.id,
        agent_id: agent.id,
        generator_id: stack.generator_id,
        created_by: ActorRef::System,
        version: Version::FIRST,
        created_at: time(0),
        deleted_at: None,
    }
}

/// An assignment in the state `Listed`.
pub fn assignment(stack: &Stack, agent: &Agent) -> Assignment {
    Assignment {
        agent_id: agent.id,
        stack_id: stack.id,
        generator_id: stack.generator_id,
        state: AssignmentState::Listed,
        version: Version::FIRST,
        created_at: time(0),
        updated_at: time(0),
    }
}

/// The silence of an agent.
pub fn silence(agent: &Agent) -> AgentSilence {
    AgentSilence {
        agent_id: agent.id,
        since: time(0),
        correlated: false,
        ended_at: None,
        version: Version::FIRST,
        updated_at: time(200),
        deleted_at: None,
    }
}

/// A stack status.
pub fn status(stack: &Stack, agent: &Agent) -> StackStatus {
    StackStatus {
        agent_id: agent.id,
        stack_id: stack.id,
        generator_id: stack.generator_id,
        observed_revision: Some(Revision::FIRST),
        applied_revision: None,
        conditions: Vec::new(),
        health: Default::default(),
        attempts: 3,
        last_error: None,
        retained: Vec::new(),
        last_outcome: None,
        version: Version::FIRST,
        updated_at: time(0),
    }
}

/// An event, recorded `n` seconds after a fixed time.
pub fn event(stack: &Stack, agent: &Agent, n: i64) -> AgentEvent {
    AgentEvent {
        id: EventId::generate(),
        agent_id: agent.id,
        stack_id: stack.id,
        generator_id: stack.generator_id,
        object_id: None,
        revision: Some(Revision::FIRST),
        action: EventAction::Apply,
        outcome: EventOutcome::Success,
        reason: "Applied".to_owned(),
        message: String::new(),
        objects: Vec::new(),
        retained: Vec::new(),
        started_at: time(n),
        finished_at: time(n),
        recorded_at: time(n),
    }
}

/// An audit record, `n` seconds after a fixed time.
pub fn audit(action: &str, n: i64) -> AuditRecord {
    AuditRecord {
        id: AuditId::generate(),
        at: time(n),
        actor: ActorRef::System,
        subject: Some("jane@example.com".to_owned()),
        action: action.to_owned(),
        object_kind: None,
        object_id: None,
        request_id: RequestId::generate(),
        source: Some("127.0.0.1".to_owned()),
        outcome: AuditOutcome::Success,
        detail: None,
        changes: None,
        count: 1,
    }
}

/// A commit of these changes, with the contents of the deployment objects among them.
pub fn commit(changes: Vec<Change>) -> Commit {
    let content = |change: &Change| match change {
        Change::DeploymentObject(it) => Some((it.digest, self::content(it.id))),
        _ => None,
    };
    Commit {
        contents: changes.iter().filter_map(content).collect(),
        actor: ActorRef::System,
        request_id: RequestId::generate(),
        at: time(0),
        preconditions: Vec::new(),
        idempotency: None,
        changes,
        audit: vec![audit("sample", 0)],
    }
}

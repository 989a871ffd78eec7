//! Rights as types, for routes that authorise before they read a body.

use std::slice;

use brokkr_core::model::{EntityKey, KeyKind};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::access::key_actions::key_actions;
use crate::broker::Broker;
use crate::error::BrokerResult;

/// The right to run one operation, as a type.
///
/// The operation authorises its actor itself. A right lets a route refuse a caller earlier, before the route reads the
/// request's body: see [`Broker::permit_early`].
pub trait Right: Send + Sync + 'static {
    /// What the right permits.
    const PERMISSION: Permission;
}

/// What a [`Right`] permits.
#[derive(Debug, Clone, Copy)]
pub struct Permission {
    /// The actions of which the operation needs each. They depend on the actor: principals have actions of their own.
    actions: fn(&Actor) -> &'static [Action],
    /// The operation's name in the audit.
    name: &'static str,
    /// The audited object, from the ids in the path.
    object: fn(&[&str]) -> Option<EntityKey>,
}

fn none(_: &[&str]) -> Option<EntityKey> {
    None
}

fn stack(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Stack(ids.first()?.parse().ok()?))
}

fn agent(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Agent(ids.first()?.parse().ok()?))
}

fn generator(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Generator(ids.first()?.parse().ok()?))
}

fn grant(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Grant(ids.first()?.parse().ok()?))
}

fn environment(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Environment(ids.first()?.parse().ok()?))
}

fn key(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Key(ids.last()?.parse().ok()?))
}

fn manage_keys(actor: &Actor, owner: KeyKind) -> &'static [Action] {
    slice::from_ref(&key_actions(actor, owner).manage)
}

fn rotate_keys(actor: &Actor, owner: KeyKind) -> &'static [Action] {
    slice::from_ref(&key_actions(actor, owner).rotate)
}

fn target(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Target(ids.first()?.parse().ok()?, ids.get(1)?.parse().ok()?))
}

macro_rules! rights {
    ($($(#[$doc:meta])* $right:ident = $actions:expr, $name:literal, $object:ident;)*) => {
        /// The rights to the operations whose requests have a body.
        pub mod rights {
            use super::{Action, KeyKind, Permission, Right, manage_keys, rotate_keys};

            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy)]
                pub struct $right;

                impl Right for $right {
                    const PERMISSION: Permission =
                        Permission { actions: $actions, name: $name, object: super::$object };
                }
            )*
        }
    };
}

rights! {
    /// To create an agent.
    CreateAgent = |_| &[Action::AgentManage, Action::KeyManage], "agent.create", none;
    /// To change an agent.
    UpdateAgent = |_| &[Action::AgentManage], "agent.update", agent;
    /// To send an agent's report.
    Report = |_| &[Action::Report], "agent.report", agent;
    /// To create an environment.
    CreateEnvironment = |_| &[Action::EnvironmentManage], "environment.create", none;
    /// To change an environment.
    UpdateEnvironment = |_| &[Action::EnvironmentManage], "environment.update", environment;
    /// To ask what a change gives to the agents of an environment, and takes from them.
    ReadImpact = |_| &[Action::EnvironmentRead, Action::PlacementRead], "environment.impact", environment;
    /// To create a grant.
    CreateGrant = |_| &[Action::GrantManage], "grant.create", none;
    /// To change a grant.
    UpdateGrant = |_| &[Action::GrantManage], "grant.update", grant;
    /// To create a join token.
    CreateJoinToken = |_| &[Action::JoinTokenManage, Action::KeyManage], "join-token.create", none;
    /// To join as a new agent.
    Join = |_| &[Action::Join], "agent.join", none;
    /// To register an agent with a generator.
    RegisterAgent = |_| &[Action::AgentRegister], "agent.register", agent;
    /// To create a generator.
    CreateGenerator = |_| &[Action::GeneratorManage, Action::KeyManage], "generator.create", none;
    /// To change a generator.
    UpdateGenerator = |_| &[Action::GeneratorManage], "generator.update", generator;
    /// To create an admin key.
    CreateAdminKey = |actor| manage_keys(actor, KeyKind::Admin), "key.create", none;
    /// To create a key of an agent.
    CreateAgentKey = |actor| manage_keys(actor, KeyKind::Agent), "key.create", none;
    /// To create a key of a generator.
    CreateGeneratorKey = |actor| manage_keys(actor, KeyKind::Generator), "key.create", none;
    /// To rotate the keys of an agent.
    RotateAgentKey = |actor| rotate_keys(actor, KeyKind::Agent), "key.rotate", none;
    /// To rotate the keys of a generator.
    RotateGeneratorKey = |actor| rotate_keys(actor, KeyKind::Generator), "key.rotate", none;
    /// To replace one key of an admin.
    ReplaceAdminKey = |actor| rotate_keys(actor, KeyKind::Admin), "key.rotate", key;
    /// To replace one key of an agent.
    ReplaceAgentKey = |actor| rotate_keys(actor, KeyKind::Agent), "key.rotate", key;
    /// To replace one key of a generator.
    ReplaceGeneratorKey = |actor| rotate_keys(actor, KeyKind::Generator), "key.rotate", key;
    /// To create a stack.
    CreateStack = |_| &[Action::StackManage], "stack.create", none;
    /// To change a stack.
    UpdateStack = |_| &[Action::StackManage], "stack.update", stack;
    /// To create or change a stack and its content.
    ApplyStack = |_| &[Action::StackManage], "stack.apply", none;
    /// To publish or generate a revision.
    Publish = |_| &[Action::Publish], "deployment-object.publish", stack;
    /// To publish an earlier revision again.
    Rollback = |_| &[Action::Publish], "stack.rollback", stack;
    /// To make a revision stable in an environment.
    SetStable = |_| &[Action::Release], "stack.release", stack;
    /// To promote a stack from one environment to another.
    Promote = |_| &[Action::Release], "stack.promote", stack;
    /// To pin an agent to a revision.
    SetPin = |_| &[Action::PinManage], "pin.set", none;
    /// To suspend a stack.
    SuspendStack = |_| &[Action::StackManage], "stack.suspend", stack;
    /// To resume a stack.
    ResumeStack = |_| &[Action::StackManage], "stack.resume", stack;
    /// To suspend an agent.
    SuspendAgent = |_| &[Action::AgentManage], "agent.suspend", agent;
    /// To stop waiting for an agent's confirmation of a removal.
    AbandonTarget = |_| &[Action::TargetAbandon], "target.abandon", target;
}

impl Broker {
    /// Checks that the table of rights permits the operation, for routes that read a body only from callers that may send it.
    /// Audits a denial. `ids` are the ids in the request's path. The operation itself checks the rows.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Forbidden`](crate::BrokerError::Forbidden).
    pub fn permit_early<R: Right>(&self, actor: &Actor, ids: &[&str]) -> BrokerResult<()> {
        let Permission { actions, name, object } = R::PERMISSION;
        actions(actor).iter().try_for_each(|action| self.permit(actor, *action, name, object(ids)))
    }
}

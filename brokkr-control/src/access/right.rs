//! Rights as types, for routes that authorise before they read a body.

use brokkr_core::model::EntityKey;

use crate::access::action::Action;
use crate::access::actor::Actor;
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
    action: Action,
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

fn target(ids: &[&str]) -> Option<EntityKey> {
    Some(EntityKey::Target(ids.first()?.parse().ok()?, ids.get(1)?.parse().ok()?))
}

macro_rules! rights {
    ($($(#[$doc:meta])* $right:ident = $action:ident, $name:literal, $object:ident;)*) => {
        /// The rights to the operations whose requests have a body.
        pub mod rights {
            use super::{Action, Permission, Right};

            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy)]
                pub struct $right;

                impl Right for $right {
                    const PERMISSION: Permission =
                        Permission { action: Action::$action, name: $name, object: super::$object };
                }
            )*
        }
    };
}

rights! {
    /// To create an agent.
    CreateAgent = AgentManage, "agent.create", none;
    /// To change an agent.
    UpdateAgent = AgentManage, "agent.update", agent;
    /// To send an agent's report.
    Report = Report, "agent.report", agent;
    /// To create an environment.
    CreateEnvironment = EnvironmentManage, "environment.create", none;
    /// To change an environment.
    UpdateEnvironment = EnvironmentManage, "environment.update", environment;
    /// To create a grant.
    CreateGrant = GrantManage, "grant.create", none;
    /// To change a grant.
    UpdateGrant = GrantManage, "grant.update", grant;
    /// To register an agent with a generator.
    RegisterAgent = AgentRegister, "agent.register", agent;
    /// To create a generator.
    CreateGenerator = GeneratorManage, "generator.create", none;
    /// To change a generator.
    UpdateGenerator = GeneratorManage, "generator.update", generator;
    /// To create an admin key.
    CreateAdminKey = AdminKeyManage, "key.create", none;
    /// To create a key of an agent.
    CreateAgentKey = AgentKeyManage, "key.create", none;
    /// To create a key of a generator.
    CreateGeneratorKey = GeneratorKeyManage, "key.create", none;
    /// To rotate the keys of an agent.
    RotateAgentKey = AgentKeyRotate, "key.rotate", none;
    /// To rotate the keys of a generator.
    RotateGeneratorKey = GeneratorKeyManage, "key.rotate", none;
    /// To create a stack.
    CreateStack = StackManage, "stack.create", none;
    /// To change a stack.
    UpdateStack = StackManage, "stack.update", stack;
    /// To create or change a stack and its content.
    ApplyStack = StackManage, "stack.apply", none;
    /// To publish or generate a revision.
    Publish = Publish, "deployment-object.publish", stack;
    /// To publish an earlier revision again.
    Rollback = Publish, "stack.rollback", stack;
    /// To stop waiting for an agent's confirmation of a removal.
    AbandonTarget = TargetAbandon, "target.abandon", target;
}

impl Broker {
    /// Checks that the actor's kind permits the operation, for routes that read a body only from callers that may send it.
    /// Audits a denial. `ids` are the ids in the request's path. The operation itself checks the rows.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Forbidden`](crate::BrokerError::Forbidden).
    pub fn permit_early<R: Right>(&self, actor: &Actor, ids: &[&str]) -> BrokerResult<()> {
        let Permission { action, name, object } = R::PERMISSION;
        self.permit(actor, action, name, object(ids))
    }
}

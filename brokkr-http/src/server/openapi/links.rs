//! OpenAPI links: the operations that accept values from a response.

use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::{OpenApi, RefOr};

use super::headers::operations;

/// Parameters of the linked operation, each with the runtime expression of its value.
type With<'a> = &'a [(&'a str, &'a str)];

const AGENT: With<'static> = &[("id", "$response.body#/agent/id")];
const GENERATOR: With<'static> = &[("id", "$response.body#/generator/id")];
const JOIN_TOKEN: With<'static> = &[("id", "$response.body#/join_token/id")];
const SELF: With<'static> = &[("id", "$response.body#/id")];
const SELF_AS_IT_IS: With<'static> = &[("id", "$response.body#/id"), ("If-Match", "$response.header.ETag")];
const APPLIED: With<'static> = &[("id", "$response.body#/stack/id")];
const HERE: With<'static> = &[("id", "$request.path.id")];
const OWNED_KEY: With<'static> = &[("id", "$request.path.id"), ("key_id", "$response.body#/key/id")];
const TARGET: With<'static> = &[("id", "$response.body#/stack_id"), ("agent_id", "$response.body#/agent_id")];
const REGISTRATION: With<'static> = &[("id", "$request.path.id"), ("generator_id", "$request.path.generator_id")];
const STACK_OF_OBJECT: With<'static> = &[("id", "$response.body#/stack_id")];

/// Operations on an agent's id.
const OF_AGENT: &[&str] = &[
    "getAgent",
    "deleteAgent",
    "listAgentKeys",
    "createAgentKey",
    "rotateAgentPak",
    "getAgentPlacement",
    "listAgentEvents",
    "getTargetState",
    "report",
    "confirmEpoch",
    "suspendAgent",
    "resumeAgent",
];
/// Operations on a generator's id.
const OF_GENERATOR: &[&str] =
    &["getGenerator", "deleteGenerator", "listGeneratorKeys", "createGeneratorKey", "rotateGeneratorPak"];
/// Operations on a stack's id.
const OF_STACK: &[&str] = &[
    "getStack",
    "deleteStack",
    "publish",
    "generateStack",
    "rollback",
    "listDeploymentObjects",
    "listTargets",
    "getStackStatus",
    "getStackPlacement",
    "listStackEvents",
    "listReleases",
    "listPins",
    "setStable",
    "suspendStack",
    "resumeStack",
];

/// Adds the links of each response.
pub(super) fn add(document: &mut OpenApi) {
    let mut add = |from: &str, status: &str, to: &[&str], with: With<'_>| {
        for item in document.paths.paths.values_mut() {
            for operation in operations(item).filter(|it| it.operation_id.as_deref() == Some(from)) {
                if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
                    response.links.extend(to.iter().map(|to| ((*to).to_owned(), RefOr::T(link(to, with)))));
                }
            }
        }
    };
    add("createAgent", "201", OF_AGENT, AGENT);
    add("createAgent", "201", &["patchAgent"], &[AGENT[0], SELF_AS_IT_IS[1]]);
    add("getAgent", "200", &["patchAgent"], SELF_AS_IT_IS);
    add("patchAgent", "200", OF_AGENT, SELF);
    add("registerAgent", "204", &["unregisterAgent"], REGISTRATION);
    add("registerAgent", "204", &["getAgent"], HERE);
    add("createGenerator", "201", OF_GENERATOR, GENERATOR);
    add("createGenerator", "201", &["patchGenerator"], &[GENERATOR[0], SELF_AS_IT_IS[1]]);
    add("getGenerator", "200", &["patchGenerator"], SELF_AS_IT_IS);
    add("createJoinToken", "201", &["getJoinToken", "deleteJoinToken"], JOIN_TOKEN);
    for status in ["200", "201"] {
        add("join", status, OF_AGENT, AGENT);
    }
    add("createAdminKey", "201", &["deleteAdminKey"], &[OWNED_KEY[1]]);
    add("createAgentKey", "201", &["deleteAgentKey"], OWNED_KEY);
    add("createAgentKey", "201", &["listAgentKeys"], HERE);
    add("createGeneratorKey", "201", &["deleteGeneratorKey"], OWNED_KEY);
    add("createGeneratorKey", "201", &["listGeneratorKeys"], HERE);
    add("createStack", "201", OF_STACK, SELF);
    add("createStack", "201", &["patchStack"], SELF_AS_IT_IS);
    add("getStack", "200", &["patchStack"], SELF_AS_IT_IS);
    add("patchStack", "200", OF_STACK, SELF);
    for status in ["200", "201"] {
        add("applyStack", status, OF_STACK, APPLIED);
        add("applyStack", status, &["patchStack"], &[APPLIED[0], SELF_AS_IT_IS[1]]);
        for publication in ["publish", "generateStack", "rollback"] {
            add(publication, status, &["getDeploymentObject"], SELF);
            add(publication, status, &["getStackStatus", "listDeploymentObjects"], STACK_OF_OBJECT);
        }
    }
    add("getDeploymentObject", "200", &["getStack"], STACK_OF_OBJECT);
    add("setTarget", "200", &["removeTarget", "abandonTarget"], TARGET);
    add("setPin", "200", &["removePin"], TARGET);
    add("setTarget", "200", &["getStackStatus", "getStackPlacement", "listTargets"], STACK_OF_OBJECT);
}

fn link(to: &str, with: With<'_>) -> Link {
    let link = LinkBuilder::new().operation_id(to);
    with.iter().fold(link, |link, (name, expression)| link.parameter(*name, *expression)).build()
}

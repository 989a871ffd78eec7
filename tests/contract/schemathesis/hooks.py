"""What no document can say: which objects exist, which cursor was issued, what time it is.

Generated requests stay generated. Of those that are valid by the document ("positive" ones), this module replaces what
only a running broker knows: ids by those of objects that exist (in every second request, so that unknown ids are
tried too), ETags, cursors and positions by present ones, and times that have passed by later ones. Requests that are
invalid by the document are sent as they are.
"""

import atexit
import itertools
import json
import os
from collections import Counter, defaultdict

import requests
import schemathesis
import yaml

URL = os.environ["BROKKR_URL"] + "/api/v1"
ADMIN = os.environ["BROKKR_PAK"]
OWN_KEY = "00000000-0000-7000-8000-000000000002"

numbers = itertools.count(1)
calls = Counter()
succeeded = Counter()
# The keys of the agents made here: an agent reports for itself only.
paks = {}


def request(method, path, body=None, pak=ADMIN, **headers):
    headers = {"Authorization": f"Bearer {pak}", **headers}
    return requests.request(method, URL + path, json=body, headers=headers, timeout=10)


def made(path, **fields):
    reply = request("POST", path, {"name": f"fixture-{next(numbers)}", **fields})
    reply.raise_for_status()
    return reply.json()


def an_agent():
    created = made("/agents")
    paks[created["agent"]["id"]] = created["pak"]
    return created["agent"]["id"]


def a_generator():
    return made("/generators")["generator"]["id"]


def an_environment():
    return made("/environments")["id"]


def a_new_join_token():
    """Their number is limited: makes room first. The newest ones stay, as a later step may name them."""
    tokens = request("GET", "/join-tokens?limit=500").json()["items"]
    for token in tokens[:-50] if len(tokens) > 200 else []:
        request("DELETE", f"/join-tokens/{token['id']}")
    return made("/join-tokens", max_uses=100, expires_at="9026-01-01T00:00:00Z")


def a_join_token():
    return a_new_join_token()["join_token"]["id"]


def a_stack():
    return made("/stacks")["id"]


def a_published_stack():
    stack = a_stack()
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fixture"}}
    request("POST", f"/stacks/{stack}/deployment-objects", {"manifests": [manifest]}).raise_for_status()
    return stack


def a_deployment_object():
    return request("GET", f"/stacks/{a_published_stack()}/deployment-objects").json()["items"][0]["id"]


def a_key_of(owner, of):
    return {"id": of, "key_id": made(f"/{owner}/{of}/keys")["key"]["id"]}


def an_admin_key():
    """Their number is limited: makes room first. The newest ones stay, as a later step may name them."""
    keys = request("GET", "/keys?limit=500").json()["items"]
    for key in keys[:-50] if len(keys) > 200 else []:
        if key["id"] != OWN_KEY:
            request("DELETE", f"/keys/{key['id']}")
    return {"key_id": made("/keys", kind="admin-read-only")["key"]["id"]}


def a_target():
    stack, agent = a_published_stack(), an_agent()
    request("PUT", f"/stacks/{stack}/targets/{agent}").raise_for_status()
    return {"id": stack, "agent_id": agent}


def a_target_to_abandon():
    """A stack that an agent was told to hold, and then to remove."""
    target = a_target()
    agent = target["agent_id"]
    request("GET", f"/agents/{agent}/target-state", pak=paks[agent]).raise_for_status()
    request("DELETE", f"/stacks/{target['id']}/targets/{agent}").raise_for_status()
    return target


def a_registration():
    agent, generator = an_agent(), a_generator()
    request("PUT", f"/agents/{agent}/generators/{generator}").raise_for_status()
    return {"id": agent, "generator_id": generator}


# Objects for the parameters of a path.
FIXTURES = {
    "abandonTarget": a_target_to_abandon,
    "deleteAdminKey": an_admin_key,
    "deleteAgentKey": lambda: a_key_of("agents", an_agent()),
    "deleteGeneratorKey": lambda: a_key_of("generators", a_generator()),
    "rotateAdminKey": an_admin_key,
    "rotateAgentKey": lambda: a_key_of("agents", an_agent()),
    "rotateGeneratorKey": lambda: a_key_of("generators", a_generator()),
    "getDeploymentObject": lambda: {"id": a_deployment_object()},
    "registerAgent": lambda: {"id": an_agent(), "generator_id": a_generator()},
    "removeTarget": a_target,
    "rollback": lambda: {"id": a_published_stack()},
    "setTarget": lambda: {"id": a_published_stack(), "agent_id": an_agent()},
    "unregisterAgent": a_registration,
}
BY_PATH = {
    "/agents/": an_agent,
    "/environments/": an_environment,
    "/generators/": a_generator,
    "/join-tokens/": a_join_token,
    "/stacks/": a_stack,
}


def fixture(operation, path):
    if operation in FIXTURES:
        return FIXTURES[operation]()
    for part, make in BY_PATH.items():
        if path.startswith("/api/v1" + part + "{id}"):
            return {"id": make()}
    return {}


class Quoted(yaml.SafeDumper):
    """Texts in quotes: which plain words are texts is for those to test who read YAML, not for those who read this document."""

    def ignore_aliases(self, data):
        return True


Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


# The first name that the tool has for YAML decides.
@schemathesis.serializer("text/yaml", "application/yaml")
def as_yaml(context, value):
    return yaml.dump(value, Dumper=Quoted, allow_unicode=False).encode()


@schemathesis.hook
def before_call(context, case, **kwargs):
    operation = name_of(case)
    calls[operation] += 1
    positive = case.meta is None or not case.meta.generation.mode.is_negative
    if positive:
        put_known_ids(case, operation)
        put_known_headers(case, operation)
        put_known_query(case, operation)
        put_known_body(case, operation)
    own_key = (case.path_parameters or {}).get("key_id") == OWN_KEY
    if operation in ("deleteAdminKey", "rotateAdminKey") and own_key:
        # Without its key the rest of the run would be refused.
        case.path_parameters = an_admin_key()


@schemathesis.hook
def after_call(context, case, response):
    succeeded[name_of(case)] += 200 <= response.status_code < 300


@atexit.register
def tell():
    """Which operations succeeded how often, for the one who started this."""
    with open(os.environ["BROKKR_SUCCEEDED"], "w") as file:
        json.dump(succeeded, file)


@schemathesis.auth()
class Keys:
    """The admin's key; for reports that of the agent, and for joins a join token, as nobody else may send them."""

    def get(self, case, context):
        return ADMIN

    def set(self, case, data, context):
        agent = (case.path_parameters or {}).get("id")
        key = paks.get(agent, data) if name_of(case) == "report" else data
        if name_of(case) == "join":
            key = a_new_join_token()["token"]
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {key}"


def name_of(case):
    return case.operation.definition.raw.get("operationId")


def put_known_ids(case, operation):
    # Without an overlap a rotated key is gone, which the tool knows of deleted ones only: these always get one of their own.
    own = operation in ("rotateAdminKey", "rotateAgentKey", "rotateGeneratorKey")
    if (own or calls[operation] % 2) and set(case.path_parameters or {}) - {"name"}:
        case.path_parameters = {**case.path_parameters, **fixture(operation, case.path)}


def put_known_headers(case, operation):
    headers = case.headers or {}
    if "If-Match" in headers:
        reply = request("GET", case.formatted_path.removeprefix("/api/v1"))
        case.headers["If-Match"] = reply.headers.get("ETag", "*")
    if "Idempotency-Key" in headers:
        # One key goes with one request; the draft of the header asks for 422 where it does not.
        case.headers["Idempotency-Key"] = f"{headers['Idempotency-Key']}-{next(numbers)}"[-255:]


def put_known_query(case, operation):
    query = dict(case.query or {})
    if "cursor" in query:
        page = request("GET", case.formatted_path.removeprefix("/api/v1") + "?limit=1").json()
        query["cursor"] = page.get("next")
        if query["cursor"] is None:
            del query["cursor"]
    if "after" in query:
        query["after"] = request("GET", "/changes?limit=1").json()["next"]
    if "wait" in query:
        query["wait"] = min(int(query["wait"]), 1)
    if query != (case.query or {}):
        case.query = query


def put_known_body(case, operation):
    body = case.body
    if not isinstance(body, dict):
        return
    body = dict(body)
    if isinstance(body.get("expires_at"), str):
        body["expires_at"] = "9" + body["expires_at"][1:]
    if isinstance(body.get("key"), dict) and isinstance(body["key"].get("expires_at"), str):
        body["key"] = {**body["key"], "expires_at": "9" + body["key"]["expires_at"][1:]}
    if operation == "createAgent" and calls[operation] % 2:
        # The examples' names are taken by agents that joined.
        body["name"] = f"agent-{next(numbers)}"
    if operation == "createAgent" and isinstance(body.get("generator_ids"), list):
        body["generator_ids"] = [a_generator() for _ in body["generator_ids"][:3]]
    if operation == "createJoinToken" and body.get("environment") is not None:
        body["environment"] = made("/environments")["name"]
    if operation == "createJoinToken" and isinstance(body.get("registrations"), list):
        body["registrations"] = [{"generator_id": a_generator()} for _ in body["registrations"][:3]]
    if operation == "generateStack":
        body["generator"] = "greeting"
    if isinstance(body.get("generate"), dict):
        body["generate"] = {**body["generate"], "generator": "greeting"}
    for field in ("params", "values"):
        if field in body:
            body[field] = kept(body[field])
    for field in ("manifests", "items"):
        if isinstance(body.get(field), list):
            body[field] = kept(distinct(body[field]))
    if operation == "publish":
        body = kept(body)
    if body != case.body:
        case.body = body


def distinct(manifests):
    """No object twice: JSON Schema cannot compare parts of the items of a list."""
    seen = defaultdict(int)

    def renamed(manifest):
        if isinstance(manifest.get("items"), list) and "metadata" not in manifest:
            return {**manifest, "items": [renamed(item) for item in manifest["items"]]}
        seen["all"] += 1
        name = f"{manifest['metadata']['name'][:200]}x{seen['all']}"
        return {**manifest, "metadata": {**manifest["metadata"], "name": name}}

    return [renamed(manifest) for manifest in manifests]


def kept(value):
    """A free document that can be stored as it is: texts without NUL, numbers without lost digits."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return value if abs(value) < 2**53 and (value or str(value) == "0") else 1
    if isinstance(value, list):
        return [kept(item) for item in value]
    if isinstance(value, dict):
        return {kept(key): kept(item) for key, item in value.items()}
    return value


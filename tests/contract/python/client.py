"""Uses the client that openapi-python-client generates: a stack from its creation to its status, and every problem as a value."""

import json
import os
import sys
from pathlib import Path

import httpx
from brokkr_client import AuthenticatedClient
from brokkr_client.api.agents import create_agent
from brokkr_client.api.deployment_objects import publish
from brokkr_client.api.stacks import create_stack, get_stack, get_stack_status, patch_stack
from brokkr_client.api.targets import set_target
from brokkr_client.models import (
    CreateAgent,
    CreatedAgent,
    CreateStack,
    DeploymentObject,
    Manifest,
    PatchStack,
    Problem,
    ProblemType,
    PublishManifests,
    Stack,
    StackStatus,
    Target,
)

URL, PAK = os.environ["BROKKR_URL"], os.environ["BROKKR_PAK"]
client = AuthenticatedClient(base_url=URL, token=PAK)
right, tried = 0, 0


def check(what, holds):
    global right, tried
    tried += 1
    right += bool(holds)
    if not holds:
        print(f"python-client: wrong: {what}")


def a_stack_and_its_status():
    agent = create_agent.sync(client=client, body=CreateAgent.from_dict({"name": "python", "labels": {"env": "prod"}}))
    check("an agent is created with its key", isinstance(agent, CreatedAgent) and agent.pak)
    stack = create_stack.sync(client=client, body=CreateStack(name="python"))
    check("a stack is created", isinstance(stack, Stack) and stack.name == "python")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"text": "hello"}}
    content = PublishManifests(manifests=[Manifest.from_dict(manifest)], message="first")
    published = publish.sync(stack.id, client=client, body=content)
    check("manifests are published", isinstance(published, DeploymentObject) and published.revision == 1)
    target = set_target.sync(stack.id, agent.agent.id, client=client)
    check("the agent is a target", isinstance(target, Target) and target.agent_id == agent.agent.id)
    status = get_stack_status.sync(stack.id, client=client)
    pending = isinstance(status, StackStatus) and status.summary.pending == 1
    check("the status counts the agent", pending and status.agents[0].desired_revision == 1)
    change = PatchStack.from_dict({"labels": {"env": "prod"}})
    current = get_stack.sync_detailed(stack.id, client=client).headers["etag"]
    changed = patch_stack.sync(stack.id, client=client, body=change, if_match=current)
    check("the stack is changed", isinstance(changed, Stack) and changed.version == 2)
    late = patch_stack.sync(stack.id, client=client, body=change, if_match=current)
    check("a late change is a problem", isinstance(late, Problem) and late.type_ is ProblemType.PRECONDITION_FAILED)
    taken = create_stack.sync(client=client, body=CreateStack(name="python"))
    check("a taken name is a problem", isinstance(taken, Problem) and taken.type_ is ProblemType.ALREADY_EXISTS)


def body_of(step, fill):
    body = step.get("body")
    if "json" in step:
        return fill(json.dumps(step["json"])).encode()
    if isinstance(body, dict):
        return bytes.fromhex(body["hex"])
    return "".join(text * times for text, times in body or []).encode()


def every_problem():
    """The steps of problems.json in order: each makes something that later ones need, or provokes a problem."""
    saved, met = {}, set()

    def fill(text):
        for name, value in saved.items():
            text = text.replace("{" + name + "}", value)
        return text

    for step in json.loads((Path(__file__).parent.parent / "problems.json").read_text()):
        headers = {"content-type": "application/json"} if "json" in step else {}
        headers |= step.get("headers", {})
        headers["Authorization"] = f"Bearer {saved.get(step.get('key'), PAK)}"
        if step.get("anonymous"):
            del headers["Authorization"]
        if "header_bytes" in step:
            headers["x-large"] = "x" * step["header_bytes"]
        path = URL + "/api/v1" + fill(step["path"])
        if "query" in step:
            path += "?" + "".join(text * times for text, times in step["query"])
        reply = httpx.request(step["method"], path, headers=headers, content=body_of(step, fill), timeout=30)
        if "problem" not in step:
            if reply.status_code != step["status"]:
                sys.exit(f"{step}: {reply.status_code} {reply.text}")
            for name, pointer in step.get("save", {}).items():
                value = reply.json()
                for part in pointer.split("/")[1:]:
                    value = value[part]
                saved[name] = value
            continue
        problem = Problem.from_dict(reply.json())
        met.add(problem.type_)
        expected = problem.type_ is ProblemType("/problems/" + step["problem"])
        check(f"{step['problem']}: {reply.text}", expected and problem.status == reply.status_code)
    for kind in set(ProblemType) - met:
        # What a healthy broker does not answer within seconds.
        answer = {"type": str(kind), "title": "", "status": 503, "request_id": "01a1fcd4-803a-75bf-9d5b-27edfd6611d6"}
        check(f"{kind} is a value", Problem.from_dict(answer).type_ is kind)
    print(f"python-client: {len(met)} of {len(ProblemType)} problem types provoked, the others parsed")


a_stack_and_its_status()
every_problem()
print(f"python-client {right}/{tried}")
sys.exit(right != tried)

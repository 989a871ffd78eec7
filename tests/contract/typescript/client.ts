/** Uses the types that openapi-typescript generates, with openapi-fetch: a stack from its creation to its status, and every
 * problem as a value of a literal union. */
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import { remedy, type Problem } from "./remedy.js";
import type { paths } from "./schema.js";

type Step = {
  method: string;
  path: string;
  problem?: string;
  status?: number;
  key?: string;
  anonymous?: boolean;
  headers?: Record<string, string>;
  header_bytes?: number;
  query?: [string, number][];
  json?: unknown;
  body?: { hex: string } | [string, number][];
  save?: Record<string, string>;
};

const url = process.env["BROKKR_URL"] ?? "";
const pak = process.env["BROKKR_PAK"] ?? "";
const steps = JSON.parse(readFileSync(process.env["BROKKR_PROBLEMS"] ?? "", "utf8")) as Step[];
// The values of the union as the document lists them: types are gone at run time.
const types = JSON.parse(readFileSync("openapi.json", "utf8")).components.schemas.ProblemType.enum as Problem["type"][];

const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${pak}` } });
let [right, tried] = [0, 0];

function check(what: string, holds: boolean): void {
  tried += 1;
  if (holds) right += 1;
  else console.log(`typescript-client: wrong: ${what}`);
}

async function aStackAndItsStatus(): Promise<void> {
  const agent = await client.POST("/api/v1/agents", { body: { name: "typescript", labels: { env: "prod" } } });
  check("an agent is created with its key", typeof agent.data?.pak === "string");
  const stack = await client.POST("/api/v1/stacks", { body: { name: "typescript" } });
  check("a stack is created", stack.data?.name === "typescript");
  const [id, agent_id] = [stack.data?.id ?? "", agent.data?.agent.id ?? ""];
  const manifest = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { text: "hello" } };
  const published = await client.POST("/api/v1/stacks/{id}/deployment-objects", {
    params: { path: { id } },
    body: { manifests: [manifest], message: "first" },
  });
  check("manifests are published", published.data?.revision === 1);
  const target = await client.PUT("/api/v1/stacks/{id}/targets/{agent_id}", { params: { path: { id, agent_id } } });
  check("the agent is a target", target.data?.agent_id === agent_id);
  const status = await client.GET("/api/v1/stacks/{id}/status", { params: { path: { id } } });
  const pending = status.data?.summary.pending === 1;
  check("the status counts the agent", pending && status.data?.agents[0]?.desired_revision === 1);
  const read = await client.GET("/api/v1/stacks/{id}", { params: { path: { id } } });
  const change = {
    params: { path: { id }, header: { "If-Match": read.response.headers.get("etag") ?? "*" } },
    headers: { "content-type": "application/merge-patch+json" },
    body: { labels: { env: "prod" } },
  };
  const changed = await client.PATCH("/api/v1/stacks/{id}", change);
  check("the stack is changed", changed.data?.version === 2);
  const late = await client.PATCH("/api/v1/stacks/{id}", change);
  check("a late change is a problem", late.error?.type === "/problems/precondition-failed");
  const taken = await client.POST("/api/v1/stacks", { body: { name: "typescript" } });
  check("a taken name is a problem", taken.error?.type === "/problems/already-exists");
}

/** The steps of problems.json in order: each makes something that later ones need, or provokes a problem. */
async function everyProblem(): Promise<void> {
  const saved: Record<string, string> = {};
  const met = new Set<Problem["type"]>();
  const fill = (text: string): string =>
    Object.entries(saved).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), text);
  for (const step of steps) {
    const reply = await send(step, saved, fill);
    const text = await reply.text();
    if (step.problem === undefined) {
      if (reply.status !== step.status) throw new Error(`${JSON.stringify(step)}: ${reply.status} ${text}`);
      for (const [name, pointer] of Object.entries(step.save ?? {})) {
        const value = pointer.split("/").slice(1).reduce((value, part) => value[part], JSON.parse(text));
        saved[name] = String(value);
      }
      continue;
    }
    const problem = JSON.parse(text) as Problem;
    met.add(problem.type);
    const expected = problem.type === `/problems/${step.problem}` && problem.status === reply.status;
    check(`${step.problem}: ${text}`, expected && remedy(problem) !== "");
  }
  for (const type of types.filter((type) => !met.has(type))) {
    // What a healthy broker does not answer within seconds.
    const problem: Problem = { type, title: "", status: 503, request_id: "01a1fcd4-803a-75bf-9d5b-27edfd6611d6" };
    check(`${type} is a value`, remedy(problem) !== "");
  }
  console.log(`typescript-client: ${met.size} of ${types.length} problem types provoked, the others parsed`);
}

function send(step: Step, saved: Record<string, string>, fill: (text: string) => string): Promise<Response> {
  const headers: Record<string, string> = step.json === undefined ? {} : { "content-type": "application/json" };
  Object.assign(headers, step.headers);
  if (!step.anonymous) headers["authorization"] = `Bearer ${saved[step.key ?? ""] ?? pak}`;
  if (step.header_bytes !== undefined) headers["x-large"] = "x".repeat(step.header_bytes);
  const query = step.query === undefined ? "" : `?${step.query.map(([text, times]) => text.repeat(times)).join("")}`;
  const init: RequestInit = { method: step.method, headers };
  if (step.json !== undefined) init.body = fill(JSON.stringify(step.json));
  else if (Array.isArray(step.body)) init.body = step.body.map(([text, times]) => text.repeat(times)).join("");
  else if (step.body) init.body = Buffer.from(step.body.hex, "hex");
  return fetch(`${url}/api/v1${fill(step.path)}${query}`, init);
}

await aStackAndItsStatus();
await everyProblem();
console.log(`typescript-client ${right}/${tried}`);
process.exit(right === tried ? 0 : 1);

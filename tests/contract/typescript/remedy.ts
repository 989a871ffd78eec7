import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];

/** What a program would do next. It compiles only while every type of problem has its case, and every case is a type. */
export function remedy(problem: Problem): string {
  switch (problem.type) {
    case "/problems/body-incomplete":
    case "/problems/body-not-utf8":
    case "/problems/credential-in-url":
    case "/problems/cursor-invalid":
    case "/problems/header-invalid":
    case "/problems/json-duplicate-key":
    case "/problems/json-syntax":
    case "/problems/json-too-deep":
    case "/problems/query-invalid":
    case "/problems/request-malformed":
    case "/problems/transfer-coding-unsupported":
      return "the request is mended";
    case "/problems/unauthenticated":
      return "a valid key is sent";
    case "/problems/agent-retired":
    case "/problems/forbidden":
      return "another key is used";
    case "/problems/not-found":
      return "the id is looked up";
    case "/problems/method-not-allowed":
      return "another method is used";
    case "/problems/not-acceptable":
      return "another type is accepted";
    case "/problems/already-exists":
    case "/problems/contention":
    case "/problems/in-use":
    case "/problems/instance-superseded":
    case "/problems/last-admin-key":
    case "/problems/limit-reached":
    case "/problems/quota-exceeded":
    case "/problems/reference-invalid":
    case "/problems/stack-deleting":
    case "/problems/wrong-cluster":
      return "the state is looked at";
    case "/problems/position-expired":
      return "the lists are read again";
    case "/problems/precondition-failed":
      return "the object is read again";
    case "/problems/body-too-large":
    case "/problems/head-too-large":
    case "/problems/uri-too-long":
      return "less is sent";
    case "/problems/unsupported-media-type":
      return "another type is sent";
    case "/problems/annotation-invalid":
    case "/problems/field-invalid":
    case "/problems/generator-refused":
    case "/problems/generator-unknown":
    case "/problems/idempotency-key-reused":
    case "/problems/label-invalid":
    case "/problems/manifest-duplicate-object":
    case "/problems/manifest-empty":
    case "/problems/manifest-invalid":
    case "/problems/name-invalid":
    case "/problems/not-granted":
    case "/problems/number-out-of-range":
    case "/problems/object-too-large":
    case "/problems/params-invalid":
    case "/problems/policy-invalid":
    case "/problems/selector-invalid":
    case "/problems/set-too-large":
    case "/problems/text-contains-nul":
    case "/problems/text-too-long":
    case "/problems/too-many-labels":
    case "/problems/unknown-field":
    case "/problems/yaml-budget-exceeded":
    case "/problems/yaml-duplicate-key":
    case "/problems/yaml-feature-not-allowed":
    case "/problems/yaml-recursive-alias":
    case "/problems/yaml-syntax":
    case "/problems/yaml-too-deep":
      return "the input is corrected";
    case "/problems/precondition-required":
      return "If-Match is sent";
    case "/problems/internal":
      return "the request id is reported";
    case "/problems/generator-unavailable":
    case "/problems/overloaded":
    case "/problems/rate-limited":
    case "/problems/store-unavailable":
    case "/problems/view-stale":
      return "it is tried again later";
    default: {
      const unknown: never = problem.type;
      throw new Error(`no case for ${String(unknown)}`);
    }
  }
}

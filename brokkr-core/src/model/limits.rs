//! Limits on everything that a caller can make large.
//!
//! Byte limits count UTF-8 bytes. Character limits count code points, as JSON Schema does. All limits are inclusive.

/// Maximum bytes of a request body.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Maximum bytes of a request body without manifests.
pub const SMALL_BODY_BYTES: usize = 1024 * 1024;
/// Default of the memory for all request bodies of one server together.
pub const BODY_BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// Maximum bytes of one object as compact JSON. The limit of etcd is 1.5 MiB.
pub const OBJECT_BYTES: usize = 1024 * 1024;
/// Maximum objects in one set of manifests.
pub const OBJECTS: usize = 5_000;
/// Maximum nesting depth of a document.
pub const DEPTH: usize = 64;
/// Maximum nodes of all YAML documents of one set together, with aliases expanded.
pub const YAML_NODES: usize = 500_000;
/// Maximum bytes of all scalars of one set together, with aliases expanded.
pub const YAML_SCALAR_BYTES: usize = 16 * 1024 * 1024;
/// Nodes that aliases may add to one set in any case. Beyond them aliases may add [`YAML_ALIAS_FACTOR`] nodes for each node
/// that the set contains itself, so that a small request cannot expand to much memory.
pub const YAML_ALIAS_NODES: usize = 10_000;
/// Bytes of scalars that aliases may add to one set in any case, and beyond them [`YAML_ALIAS_FACTOR`] bytes for each byte of
/// a scalar that the set contains itself.
pub const YAML_ALIAS_BYTES: usize = 1024 * 1024;
/// How much more aliases may add than the set contains itself.
pub const YAML_ALIAS_FACTOR: usize = 16;
/// Maximum labels, and maximum annotations, of one entity.
pub const LABELS: usize = 64;
/// Maximum bytes of all annotations of one entity together, as in Kubernetes.
pub const ANNOTATION_BYTES: usize = 256 * 1024;
/// Maximum requirements of one label selector, and maximum values of one requirement.
pub const SELECTOR_TERMS: usize = 64;
/// Maximum ignore rules of one stack, and maximum pointers of one rule.
pub const IGNORE_RULES: usize = 32;
/// Maximum characters of one JSON pointer.
pub const POINTER_CHARACTERS: usize = 512;
/// Maximum bytes of all pointers of one stack's ignore rules together. Every changed target state carries them.
pub const IGNORE_BYTES: usize = 16 * 1024;
/// Maximum stacks that one stack may depend on.
pub const DEPENDENCIES: usize = 32;
/// Maximum environments to which one generator, one key or one targeting rule is limited.
pub const ENVIRONMENTS: usize = 64;
/// Maximum earlier stable revisions that a release remembers, and to which a rollback can return.
pub const STABLE_KEPT: usize = 100;
/// Maximum stacks whose present revision becomes stable when an environment becomes protected: one commit records all.
pub const PROTECTED_STACKS: usize = 1_000;
/// The highest rank of an environment.
pub const RANK_MAX: u32 = 1_000_000;
/// Maximum bytes of an environment's values, as JSON.
pub const VALUES_BYTES: usize = 64 * 1024;
/// Maximum characters of a description.
pub const DESCRIPTION_CHARACTERS: usize = 4096;
/// Maximum characters of the message of a revision, an event or a condition.
pub const MESSAGE_CHARACTERS: usize = 4096;
/// Bytes to which agents truncate the messages that they generate.
pub const MESSAGE_BYTES: usize = 4096;
/// Maximum characters of a cluster name and of other short texts.
pub const SHORT_TEXT_CHARACTERS: usize = 253;
/// Maximum warnings stored with one deployment object. Further ones are only counted.
pub const WARNINGS: usize = 100;
/// Default number of entries in a page.
pub const PAGE_DEFAULT: usize = 100;
/// Maximum entries in a page.
pub const PAGE_MAX: usize = 500;
/// Maximum events, and maximum statuses, in one report.
pub const REPORT_ENTRIES: usize = 1_000;
/// Maximum bytes of one report.
pub const REPORT_BYTES: usize = 4 * 1024 * 1024;
/// Maximum commands that a controller executes for one plan.
pub const PLAN_COMMANDS: usize = 100;
/// Maximum agents in one record of silences, and maximum assignments that one commit ends.
pub const CONTROLLER_CHANGES: usize = 1_000;
/// Maximum objects in one event, and maximum retained objects.
pub const EVENT_OBJECTS: usize = 50;
/// Maximum held stacks in one report.
pub const HELD_STACKS: usize = 50_000;
/// Maximum conditions in one stack status.
pub const CONDITIONS: usize = 16;
/// Maximum capabilities of one agent.
pub const CAPABILITIES: usize = 64;
/// Maximum generators that one agent is registered with.
pub const REGISTRATIONS: usize = 256;
/// Maximum patterns of kinds, and of namespaces, in one grant.
pub const GRANT_PATTERNS: usize = 256;
/// Maximum active keys of one principal.
pub const KEYS_PER_PRINCIPAL: usize = 16;
/// Maximum active keys of all admins together.
pub const ADMIN_KEYS: usize = 256;
/// Maximum join tokens that have not expired.
pub const JOIN_TOKENS: usize = 256;
/// Maximum agents that one join token creates.
pub const JOIN_TOKEN_USES: u32 = 10_000;
/// Maximum scopes that a request names for a key.
pub const KEY_SCOPES: usize = 64;
/// Maximum scopes of one key, with those of a preset and of the keys that it replaces.
pub const KEY_SCOPES_TOTAL: usize = 256;
/// Maximum source networks of one key.
pub const SOURCE_NETWORKS: usize = 64;
/// Maximum seconds that a long poll may wait.
pub const POLL_WAIT_SECONDS: u64 = 60;
/// Maximum seconds that an old key stays valid after a rotation.
pub const ROTATION_OVERLAP_SECONDS: u64 = 7 * 24 * 3600;
/// Attempts of an operation that keeps losing to concurrent commits.
pub const COMMIT_TRIES: usize = 5;
/// Seconds after its last successful refresh at which a fleet view stops answering requests.
pub const VIEW_MAX_AGE_SECONDS: u64 = 3;
/// Maximum bytes of the JSON Patch in one audit record. A larger one is reduced to the paths of its operations.
pub const AUDIT_CHANGES_BYTES: usize = 16 * 1024;
/// Maximum bytes of the manifests of two revisions together that the audit of a publication compares.
pub const AUDIT_MANIFEST_BYTES: u64 = 256 * 1024;
/// Maximum bytes of the pointers to all values of an update that are compared for its audit record. Long names with many values
/// below them would make a patch of gigabytes.
pub const AUDIT_POINTER_BYTES: usize = 4 * 1024 * 1024;
/// Maximum denied attempts that wait to be recorded. Further ones are only counted.
pub const DENIALS_QUEUED: usize = 1_000;
/// Maximum audit records of denied attempts that one actor adds per minute and broker. Further attempts are counted in as many
/// further records, by source, action and problem, and then in one.
pub const DENIALS_PER_ACTOR: usize = 100;
/// Maximum audit records of denied attempts without a valid key per minute and broker. Further attempts are only counted.
pub const DENIALS_ANONYMOUS: usize = 1_000;
/// Hours for which the store remembers an idempotency key.
pub const IDEMPOTENCY_HOURS: u64 = 24;
/// Maximum bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Maximum open connections of one server. Further ones wait in the operating system's accept queue.
pub const CONNECTIONS: usize = 20_000;
/// Default of the open connections of one client address. Loopback addresses have no limit.
pub const CONNECTIONS_PER_ADDRESS: usize = 256;
/// Default of the requests of one key, per second.
pub const REQUESTS_PER_SECOND: u32 = 1_000;
/// Default of the requests of one generator, with all its keys, per second.
pub const OWNER_REQUESTS_PER_SECOND: u32 = 2_000;
/// Default of the requests of one principal that change something, per second.
pub const WRITES_PER_SECOND: u32 = 500;
/// Default of the requests from one client address without a usable key, per second.
pub const UNAUTHENTICATED_PER_SECOND: u32 = 100;
/// How many seconds' worth of requests a caller may send at once.
pub const RATE_BURST: u32 = 10;
/// Default of the requests of agents that are served at once. Polls that wait do not count.
pub const CONCURRENT_AGENT_REQUESTS: usize = 1_024;
/// Default of the reads that are served at once.
pub const CONCURRENT_READS: usize = 128;
/// Default of the writes that are served at once.
pub const CONCURRENT_WRITES: usize = 64;
/// Default of the lists that are served at once.
pub const CONCURRENT_LISTS: usize = 8;
/// Milliseconds that a request waits while its class of work is full.
pub const CLASS_WAIT_MILLIS: u64 = 500;
/// Maximum bytes of the head of a request: the request line and the header fields.
pub const REQUEST_HEAD_BYTES: usize = 64 * 1024;
/// Maximum bytes of one header field.
pub const REQUEST_HEADER_BYTES: usize = 32 * 1024;
/// Maximum header fields of one request.
pub const REQUEST_HEADERS: usize = 100;
/// Maximum bytes of a request target.
pub const REQUEST_URI_BYTES: usize = 16 * 1024;
/// Seconds that a client has to send the head of a request, from when the connection is ready for one.
pub const REQUEST_HEAD_SECONDS: u64 = 30;
/// Seconds that a client has to send the body of a request.
pub const REQUEST_BODY_SECONDS: u64 = 30;
/// Seconds that a client may pause while it sends the body of a request.
pub const REQUEST_BODY_PAUSE_SECONDS: u64 = 10;
/// Maximum concurrent streams of one HTTP/2 connection.
pub const STREAMS_PER_CONNECTION: u32 = 200;

//! The one table of limits: everything that a caller could make large is bounded here.
//!
//! Bytes are bytes of UTF-8; characters are code points, as JSON Schema counts them. Each limit is inclusive: the value itself is allowed, one more is not.

/// Bytes of a request's body.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a request's body that carries no manifests.
pub const SMALL_BODY_BYTES: usize = 1024 * 1024;
/// Bytes of one object as compact JSON; etcd's own limit is 1.5 MiB.
pub const OBJECT_BYTES: usize = 1024 * 1024;
/// Objects in one set.
pub const OBJECTS: usize = 5_000;
/// Nesting of a document.
pub const DEPTH: usize = 64;
/// Nodes of all YAML documents of one set together, after aliases are expanded.
pub const YAML_NODES: usize = 500_000;
/// Bytes of all scalars of one set together, after aliases are expanded.
pub const YAML_SCALAR_BYTES: usize = 16 * 1024 * 1024;
/// Nodes that aliases add to one document: a few bytes of aliases must not take much memory.
pub const YAML_ALIAS_NODES: usize = 100_000;
/// Bytes of scalars that aliases add to one document.
pub const YAML_ALIAS_BYTES: usize = 4 * 1024 * 1024;
/// Labels, and likewise annotations, of one entity.
pub const LABELS: usize = 64;
/// Bytes of all annotations of one entity together, as in Kubernetes.
pub const ANNOTATION_BYTES: usize = 256 * 1024;
/// Requirements of one label selector, and values of one requirement.
pub const SELECTOR_TERMS: usize = 64;
/// Rules of one stack for fields that are left to others, and pointers of one rule.
pub const IGNORE_RULES: usize = 32;
/// Characters of one JSON pointer.
pub const POINTER_CHARACTERS: usize = 512;
/// Bytes of all pointers of one stack's rules together: each poll's answer carries them.
pub const IGNORE_BYTES: usize = 16 * 1024;
/// Stacks that one stack may depend on.
pub const DEPENDENCIES: usize = 32;
/// Bytes of the values of an environment, as JSON.
pub const VALUES_BYTES: usize = 64 * 1024;
/// Characters of a description.
pub const DESCRIPTION_CHARACTERS: usize = 4096;
/// Characters of the message of a revision, an event or a condition.
pub const MESSAGE_CHARACTERS: usize = 4096;
/// Bytes to which agents cut the messages that they make.
pub const MESSAGE_BYTES: usize = 4096;
/// Characters of a cluster's name and of other short texts.
pub const SHORT_TEXT_CHARACTERS: usize = 253;
/// Warnings kept with one deployment object.
pub const WARNINGS: usize = 100;
/// Entries of a page when the caller names no number.
pub const PAGE_DEFAULT: usize = 100;
/// Entries of a page at the most.
pub const PAGE_MAX: usize = 500;
/// Events, and likewise statuses, in one report.
pub const REPORT_ENTRIES: usize = 1_000;
/// Bytes of one report.
pub const REPORT_BYTES: usize = 4 * 1024 * 1024;
/// Objects named in one event or as retained.
pub const EVENT_OBJECTS: usize = 50;
/// Stacks that a report may name as held.
pub const HELD_STACKS: usize = 50_000;
/// Conditions of one stack's status.
pub const CONDITIONS: usize = 16;
/// Capabilities that an agent may claim.
pub const CAPABILITIES: usize = 64;
/// Agent registrations of one agent with generators.
pub const REGISTRATIONS: usize = 256;
/// Active keys of one principal.
pub const KEYS_PER_PRINCIPAL: usize = 16;
/// Seconds that a long poll may wait.
pub const POLL_WAIT_SECONDS: u64 = 60;
/// Seconds that an old key stays valid after a rotation.
pub const ROTATION_OVERLAP_SECONDS: u64 = 7 * 24 * 3600;
/// Tries of one operation that lost a race.
pub const COMMIT_TRIES: usize = 5;
/// Seconds after which a view that could not be brought up to date answers nothing.
pub const VIEW_MAX_AGE_SECONDS: u64 = 3;
/// Denied attempts that wait to be recorded; above it they are only counted.
pub const DENIALS_QUEUED: usize = 1_000;
/// Hours for which a request that may be repeated is remembered.
pub const IDEMPOTENCY_HOURS: u64 = 24;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Connections that one server holds; further ones wait in the system's queue until one ends.
pub const CONNECTIONS: usize = 20_000;
/// Seconds in which a client must have sent the whole head of a request, counted from when one may come.
pub const REQUEST_HEAD_SECONDS: u64 = 30;
/// Seconds in which a client must have sent the whole body of a request.
pub const REQUEST_BODY_SECONDS: u64 = 30;
/// Streams of one HTTP/2 connection.
pub const STREAMS_PER_CONNECTION: u32 = 200;

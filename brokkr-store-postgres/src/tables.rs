//! Writes of entities: one insert and one update per kind.
//!
//! Both take an array of entities as JSON. An insert writes entities of version 1, an update those whose stored version
//! is one less. Fewer written rows than given ones mean a conflict.

use crate::query::statements;

/// The statements that write entities of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) insert: &'static str,
    /// `None` for kinds that never change.
    pub(crate) update: Option<&'static str>,
    /// Returns a row for each entity that has the given version, in the order of keys, and locks the rows of kinds that
    /// can change. Takes ids (or pairs of ids) and versions.
    pub(crate) lock: &'static str,
}

macro_rules! insert {
    ($table:literal, $key:literal, $columns:literal) => {
        concat!(
            "INSERT INTO brokkr.",
            $table,
            " (",
            $columns,
            ") SELECT ",
            $columns,
            " FROM jsonb_populate_recordset(NULL::brokkr.",
            $table,
            ", $1) ON CONFLICT (",
            $key,
            ") DO NOTHING"
        )
    };
}

macro_rules! update {
    ($table:literal, $on:literal, $set:literal) => {
        concat!(
            "UPDATE brokkr.",
            $table,
            " t SET ",
            $set,
            ", version = n.version FROM jsonb_populate_recordset(NULL::brokkr.",
            $table,
            ", $1) n WHERE ",
            $on,
            " AND t.version = n.version - 1"
        )
    };
}

macro_rules! lock {
    ($table:literal) => {
        lock!($table, "id", "t.version", " FOR SHARE OF t")
    };
    ($table:literal, $id:literal, $version:literal, $lock:literal) => {
        concat!(
            "SELECT 1 FROM brokkr.", $table, " t JOIN unnest($1::uuid[], $2::int8[]) AS p (id, version) ON t.", $id,
            " = p.id AND ", $version, " = p.version ORDER BY t.", $id, $lock
        )
    };
    (pair $table:literal) => {
        lock!(pair $table, "stack_id", "agent_id", "t.version", " FOR SHARE OF t")
    };
    (pair $table:literal, $one:literal, $other:literal, $version:literal, $lock:literal) => {
        concat!(
            "SELECT 1 FROM brokkr.", $table, " t JOIN unnest($1::uuid[], $2::uuid[], $3::int8[]) AS p (one, other, version)
            ON t.", $one, " = p.one AND t.", $other, " = p.other AND ", $version, " = p.version ORDER BY t.", $one,
            ", t.", $other, $lock
        )
    };
}

statements! {
    INSERT_GENERATOR = insert!("generator", "id", "id, name, description, environments, version, created_at,
        updated_at, deleted_at");
    UPDATE_GENERATOR = update!("generator", "t.id = n.id",
        "name = n.name, description = n.description, environments = n.environments, updated_at = n.updated_at,
        deleted_at = n.deleted_at");
    LOCK_GENERATOR = lock!("generator");

    INSERT_KEY = insert!("api_key", "id", "id, short_id, hash, name, owner, subject, scopes, source_networks,
        environments, expires_at, version, created_at, deleted_at");
    UPDATE_KEY = update!("api_key", "t.id = n.id",
        "name = n.name, subject = n.subject, scopes = n.scopes, source_networks = n.source_networks,
        environments = n.environments, expires_at = n.expires_at, deleted_at = n.deleted_at");
    LOCK_KEY = lock!("api_key");

    INSERT_AGENT = insert!("agent", "id", "id, name, cluster_name, environment, labels, annotations, status, suspended, confirmed_epoch,
        version, created_at, updated_at, deleted_at");
    UPDATE_AGENT = update!("agent", "t.id = n.id", "name = n.name, cluster_name = n.cluster_name, environment = n.environment, labels = n.labels,
        annotations = n.annotations, status = n.status, suspended = n.suspended, confirmed_epoch = n.confirmed_epoch, updated_at = n.updated_at,
        deleted_at = n.deleted_at");
    LOCK_AGENT = lock!("agent");

    INSERT_SESSION = insert!("agent_session", "agent_id", "agent_id, cluster_uid, instance_id, sequence, superseded,
        capabilities, unknown_stacks, version, started_at, updated_at");
    UPDATE_SESSION = update!("agent_session", "t.agent_id = n.agent_id", "cluster_uid = n.cluster_uid,
        instance_id = n.instance_id, sequence = n.sequence, superseded = n.superseded, capabilities = n.capabilities,
        unknown_stacks = n.unknown_stacks, started_at = n.started_at, updated_at = n.updated_at");

    LOCK_SESSION = lock!("agent_session", "agent_id", "t.version", " FOR SHARE OF t");

    INSERT_STACK = insert!("stack", "id", "id, generator_id, name, description, labels, annotations, targeting, policies,
        depends_on, release, suspended, deletion_protection, expires_at, expiry_announced_at, phase, version, created_at, updated_at,
        deleted_at");
    UPDATE_STACK = update!("stack", "t.id = n.id", "name = n.name, description = n.description, labels = n.labels,
        annotations = n.annotations, targeting = n.targeting, policies = n.policies, depends_on = n.depends_on,
        release = n.release, suspended = n.suspended, deletion_protection = n.deletion_protection, expires_at = n.expires_at,
        expiry_announced_at = n.expiry_announced_at, phase = n.phase,
        updated_at = n.updated_at, deleted_at = n.deleted_at");
    LOCK_STACK = lock!("stack");

    INSERT_OBJECT = insert!("deployment_object", "id", "id, stack_id, generator_id, revision, digest, size, object_count,
        message, provenance, policies, depends_on, warnings, created_by, created_at");

    LOCK_OBJECT = lock!("deployment_object", "id", "1", "");

    INSERT_TARGET = insert!("target", "stack_id, agent_id",
        "stack_id, agent_id, generator_id, created_by, version, created_at, deleted_at");
    UPDATE_TARGET = update!("target", "t.stack_id = n.stack_id AND t.agent_id = n.agent_id",
        "created_by = n.created_by, created_at = n.created_at, deleted_at = n.deleted_at");
    LOCK_TARGET = lock!(pair "target");

    INSERT_ASSIGNMENT = insert!("assignment", "stack_id, agent_id",
        "stack_id, agent_id, generator_id, state, version, created_at, updated_at");
    UPDATE_ASSIGNMENT = update!("assignment", "t.stack_id = n.stack_id AND t.agent_id = n.agent_id",
        "state = n.state, created_at = n.created_at, updated_at = n.updated_at");
    LOCK_ASSIGNMENT = lock!(pair "assignment");

    INSERT_STATUS = insert!("stack_status", "stack_id, agent_id", "stack_id, agent_id, generator_id, observed_revision,
        applied_revision, conditions, health, attempts, last_error, retained, last_outcome, version, updated_at");
    UPDATE_STATUS = update!("stack_status", "t.stack_id = n.stack_id AND t.agent_id = n.agent_id",
        "observed_revision = n.observed_revision, applied_revision = n.applied_revision, conditions = n.conditions,
        health = n.health, attempts = n.attempts, last_error = n.last_error, retained = n.retained,
        last_outcome = n.last_outcome, updated_at = n.updated_at");
    LOCK_STATUS = lock!(pair "stack_status");

    INSERT_EVENT = insert!("agent_event", "agent_id, id", "id, agent_id, stack_id, generator_id, object_id, revision, action,
        outcome, reason, message, objects, retained, started_at, finished_at, recorded_at");

    LOCK_EVENT = lock!(pair "agent_event", "agent_id", "id", "1", "");

    INSERT_DOCUMENT = insert!("document", "id", "id, kind, generator_id, name, labels, body, version, deleted_at");
    UPDATE_DOCUMENT = update!("document", "t.id = n.id AND t.kind = n.kind",
        "name = n.name, labels = n.labels, body = n.body, deleted_at = n.deleted_at");
    LOCK_DOCUMENT = lock!("document");

    /// Deletes the registrations that agents no longer have. `REGISTER` adds the new ones and updates their grants.
    UNREGISTER = "DELETE FROM brokkr.agent_registration r
        USING jsonb_to_recordset($1) AS n (id uuid, registrations jsonb)
        WHERE r.agent_id = n.id AND NOT n.registrations ? r.generator_id::text";
    REGISTER = "INSERT INTO brokkr.agent_registration AS r (agent_id, generator_id, grant_id)
        SELECT n.id, g.key::uuid, g.value::uuid
        FROM jsonb_to_recordset($1) AS n (id uuid, registrations jsonb), jsonb_each_text(n.registrations) g
        ON CONFLICT (agent_id, generator_id) DO UPDATE SET grant_id = excluded.grant_id WHERE r.grant_id <> excluded.grant_id";
}

/// The tables of the kinds, in write order: tables that others refer to come first.
pub(crate) mod of {
    use super::*;

    pub(crate) const GENERATOR: Table =
        Table { insert: INSERT_GENERATOR, update: Some(UPDATE_GENERATOR), lock: LOCK_GENERATOR };
    pub(crate) const AGENT: Table = Table { insert: INSERT_AGENT, update: Some(UPDATE_AGENT), lock: LOCK_AGENT };
    pub(crate) const KEY: Table = Table { insert: INSERT_KEY, update: Some(UPDATE_KEY), lock: LOCK_KEY };
    pub(crate) const SESSION: Table =
        Table { insert: INSERT_SESSION, update: Some(UPDATE_SESSION), lock: LOCK_SESSION };
    pub(crate) const STACK: Table = Table { insert: INSERT_STACK, update: Some(UPDATE_STACK), lock: LOCK_STACK };
    pub(crate) const OBJECT: Table = Table { insert: INSERT_OBJECT, update: None, lock: LOCK_OBJECT };
    pub(crate) const TARGET: Table = Table { insert: INSERT_TARGET, update: Some(UPDATE_TARGET), lock: LOCK_TARGET };
    pub(crate) const ASSIGNMENT: Table =
        Table { insert: INSERT_ASSIGNMENT, update: Some(UPDATE_ASSIGNMENT), lock: LOCK_ASSIGNMENT };
    pub(crate) const STATUS: Table = Table { insert: INSERT_STATUS, update: Some(UPDATE_STATUS), lock: LOCK_STATUS };
    pub(crate) const DOCUMENT: Table =
        Table { insert: INSERT_DOCUMENT, update: Some(UPDATE_DOCUMENT), lock: LOCK_DOCUMENT };
    pub(crate) const EVENT: Table = Table { insert: INSERT_EVENT, update: None, lock: LOCK_EVENT };
}

//! The use of quotas.

use brokkr_core::model::{ActorRef, GeneratorId, Quota};
use brokkr_core::store::{Commit, Precondition, StoreError};
use sqlx::{Executor, Postgres};

use crate::query::statements;
use crate::session::Work;

statements! {
    STACKS = "SELECT count(*) FROM brokkr.stack WHERE generator_id = $1::text::uuid AND deleted_at IS NULL";
    KEYS = "SELECT count(*) FROM brokkr.api_key
        WHERE (owner)::jsonb = jsonb_build_object('kind', 'generator', 'id', $1::text) AND deleted_at IS NULL";
    REVISIONS = "SELECT coalesce(sum(revisions), 0)::int8 FROM brokkr.generator_usage WHERE generator_id = $1::text::uuid";
    BYTES = "SELECT coalesce(sum(bytes), 0)::int8 FROM brokkr.generator_usage WHERE generator_id = $1::text::uuid";
    ANSWERS = "SELECT coalesce(sum(records), 0)::int8 FROM brokkr.answer_usage WHERE actor = $1";
    /// Serialises the commits of one generator that check a quota. A statement after it sees the commits that it waited for.
    LOCK_QUOTAS = "SELECT pg_advisory_xact_lock(1651666541, hashtext($1))";
}

/// A generator's present use of a quota.
pub(crate) async fn used<'e>(
    database: impl Executor<'e, Database = Postgres>,
    generator: GeneratorId,
    quota: Quota,
) -> Result<u64, sqlx::Error> {
    let statement = match quota {
        Quota::Stacks => STACKS,
        Quota::Keys => KEYS,
        Quota::Revisions => REVISIONS,
        Quota::ManifestBytes => BYTES,
        Quota::IdempotencyRecords => ANSWERS,
        // Not stored.
        _ => return Ok(0),
    };
    let of = match quota {
        Quota::IdempotencyRecords => ActorRef::Generator { id: generator, key_id: None }.to_string(),
        _ => generator.to_string(),
    };
    let used: i64 = sqlx::query_scalar(statement).bind(of).fetch_one(database).await?;
    Ok(u64::try_from(used).unwrap_or(0))
}

/// Checks the quotas among the preconditions of a commit, before it writes.
pub(crate) async fn check(work: &mut Work<'_>, commit: &Commit) -> Result<Result<(), StoreError>, sqlx::Error> {
    let mut quotas: Vec<(GeneratorId, Quota, u64)> = commit
        .preconditions
        .iter()
        .filter_map(|it| match it {
            Precondition::Within(generator, quota, maximum) => Some((*generator, *quota, *maximum)),
            _ => None,
        })
        .collect();
    // In one order, so that two commits do not deadlock.
    quotas.sort_unstable();
    let mut locked = None;
    for (generator, quota, maximum) in quotas {
        if locked != Some(generator) {
            sqlx::query(LOCK_QUOTAS).bind(generator.to_string()).execute(&mut *work).await?;
            locked = Some(generator);
        }
        let used = used(&mut *work, generator, quota).await?;
        if let Err(error) = commit.check_quota(generator, quota, used, maximum) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

//! The existing service: its connection pool, its tables, and the embedded broker.

use std::error::Error;

use axum::extract::FromRef;
use brokkr::Broker;
use brokkr::model::GeneratorId;
use brokkr::store::IntoStore;
use sqlx::PgPool;

use crate::customer_database::CustomerDatabase;
use crate::token::hash;

/// The service's own tables, in the schema `crm` beside the broker's schema `brokkr`.
const SCHEMA: &str = "
    CREATE SCHEMA IF NOT EXISTS crm;
    CREATE TABLE IF NOT EXISTS crm.team (name text PRIMARY KEY, generator_id uuid NOT NULL);
    CREATE TABLE IF NOT EXISTS crm.member (token_hash text PRIMARY KEY, team text NOT NULL REFERENCES crm.team);
    CREATE TABLE IF NOT EXISTS crm.customer (
        name text PRIMARY KEY, team text NOT NULL REFERENCES crm.team, stack_id uuid);";

/// The state of the service's routes.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) pool: PgPool,
    pub(crate) broker: Broker,
}

impl FromRef<Service> for Broker {
    fn from_ref(service: &Service) -> Self {
        service.broker.clone()
    }
}

impl Service {
    pub(crate) async fn start(store: impl IntoStore, url: &str) -> Result<Self, Box<dyn Error>> {
        let pool = PgPool::connect(url).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        let broker = Broker::builder(store).generator(CustomerDatabase).start().await?;
        Ok(Self { pool, broker })
    }

    /// Creates a team with its own generator, which owns the team's stacks. Teams therefore do not see each other's stacks.
    pub(crate) async fn create_team(&self, name: &str) -> Result<GeneratorId, Box<dyn Error>> {
        // Idempotent, so a repetition after a failed insertion completes it.
        let generator = self.broker.ensure_generator(&self.broker.system_actor(), name, "A team of the CRM").await?;
        let insert = sqlx::query("INSERT INTO crm.team (name, generator_id) VALUES ($1, $2)");
        insert.bind(name).bind(generator.id.as_uuid()).execute(&self.pool).await?;
        Ok(generator.id)
    }

    /// Adds a member to a team and returns its token.
    pub(crate) async fn create_member(&self, team: &str) -> Result<String, Box<dyn Error>> {
        let token: String = sqlx::query_scalar("SELECT gen_random_uuid()::text").fetch_one(&self.pool).await?;
        let insert = sqlx::query("INSERT INTO crm.member (token_hash, team) VALUES ($1, $2)");
        insert.bind(hash(&token)).bind(team).execute(&self.pool).await?;
        Ok(token)
    }

    /// Creates the team `first` with one member in a new database. Returns the member's token, or `None` if a team exists.
    pub(crate) async fn ensure_first_member(&self) -> Result<Option<String>, Box<dyn Error>> {
        let is_new: bool = sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM crm.team)").fetch_one(&self.pool).await?;
        if !is_new {
            return Ok(None);
        }
        self.create_team("first").await?;
        self.create_member("first").await.map(Some)
    }
}

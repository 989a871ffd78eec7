//! The service's routes: customers, each with a database in the clusters.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use brokkr::api::ProblemType;
use brokkr::prelude::*;
use sqlx::types::Uuid;

use crate::auth::Member;
use crate::customer_database::{CustomerDatabase, Size};
use crate::service::Service;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCustomer {
    name: String,
    gibibytes: u16,
}

#[derive(Debug, Serialize)]
struct Customer {
    name: String,
    stack_id: StackId,
    /// Number of assigned clusters that have applied the database.
    applied: usize,
    agents: usize,
}

/// The route `/customers`, for members with a token of the service.
pub(crate) fn routes(service: Service) -> Router {
    Router::new().route("/customers", get(list).post(create)).with_state(service)
}

/// Writes the service's row and the stack. The broker commits independently and is idempotent by the stack's name, so its
/// commit comes directly before the service's own: after any failure, repeating the request completes it.
async fn create(
    State(service): State<Service>,
    member: Member,
    ApiJson(new): ApiJson<NewCustomer>,
) -> Result<(StatusCode, axum::Json<Customer>), Problem> {
    let mut transaction = service.pool.begin().await.map_err(Problem::internal)?;
    let insert = sqlx::query("INSERT INTO crm.customer (name, team) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    let inserted = insert.bind(&new.name).bind(&member.team).execute(&mut *transaction).await;
    if inserted.map_err(Problem::internal)?.rows_affected() == 0 {
        return Err(Problem::new(ProblemType::AlreadyExists).at_pointer("/name"));
    }
    let spec = StackSpec::named(format!("customer-{}", new.name)).label("team", &member.team);
    let size = Size { gibibytes: new.gibibytes };
    let applied = service.broker.generate::<CustomerDatabase>(&member.actor, spec, size).await?;
    let stack_id = applied.stack.id;
    let update = sqlx::query("UPDATE crm.customer SET stack_id = $1 WHERE name = $2");
    update.bind(stack_id.as_uuid()).bind(&new.name).execute(&mut *transaction).await.map_err(Problem::internal)?;
    transaction.commit().await.map_err(Problem::internal)?;
    let customer = customer(&service, &member, new.name, stack_id).await?;
    Ok((StatusCode::CREATED, axum::Json(customer)))
}

/// Lists the customers of the member's team.
async fn list(State(service): State<Service>, member: Member) -> Result<axum::Json<Vec<Customer>>, Problem> {
    let select = "SELECT name, stack_id FROM crm.customer WHERE team = $1 ORDER BY name LIMIT 100";
    let rows: Vec<(String, Uuid)> =
        sqlx::query_as(select).bind(&member.team).fetch_all(&service.pool).await.map_err(Problem::internal)?;
    let mut customers = Vec::new();
    for (name, stack) in rows {
        customers.push(customer(&service, &member, name, StackId::from_uuid(stack)).await?);
    }
    Ok(axum::Json(customers))
}

async fn customer(
    service: &Service,
    member: &Member,
    name: String,
    stack_id: StackId,
) -> Result<Customer, BrokerError> {
    let summary = service.broker.stack_status(&member.actor, stack_id).await?.summary;
    Ok(Customer { name, stack_id, applied: summary.applied, agents: summary.agents })
}

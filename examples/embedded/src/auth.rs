//! The service's own authentication: a member's token selects the team's generator as the actor.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use brokkr::Actor;
use brokkr::api::{Problem, ProblemType, RequestOrigin};
use brokkr::model::GeneratorId;
use sqlx::types::Uuid;

use crate::service::Service;
use crate::token::hash;

/// The authenticated member of a team.
pub(crate) struct Member {
    pub(crate) team: String,
    /// The team's generator as the actor; audit records contain it and the request id.
    pub(crate) actor: Actor,
}

impl FromRequestParts<Service> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let origin = RequestOrigin::from_request_parts(parts, service).await?;
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
        let token = header.and_then(|it| it.strip_prefix("Token ")).ok_or_else(unknown)?;
        let select = "SELECT name, generator_id FROM crm.member JOIN crm.team ON team = name WHERE token_hash = $1";
        let found: Option<(String, Uuid)> =
            sqlx::query_as(select).bind(hash(token)).fetch_optional(&service.pool).await.map_err(Problem::internal)?;
        let (team, generator) = found.ok_or_else(unknown)?;
        let actor = service.broker.generator_actor(GeneratorId::from_uuid(generator))?;
        Ok(Self { team, actor: origin.identify(actor)? })
    }
}

fn unknown() -> Problem {
    Problem::new(ProblemType::Unauthenticated).detail("send a member's token as `Authorization: Token <token>`")
}

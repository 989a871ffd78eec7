//! The agent's side of the protocol, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::{AgentId, DeploymentObjectId, Generation, KeyKind};
use brokkr_core::protocol::{
    ControlPlane, ControlPlaneError, Identity, PollAnswer, PollRequest, Report, ReportAnswer, TargetState,
};
use bytes::Bytes;
use http::{Method, StatusCode, header};

use super::transport::{Answer, Call};
use super::{Client, ClientError};
use crate::api::{EPOCH_HEADER, GENERATION_HEADER, WhoAmI};

/// A [`ControlPlane`](brokkr_core::protocol::ControlPlane) that reaches its broker over HTTP.
#[derive(Debug, Clone)]
pub struct HttpControlPlane {
    client: Client,
}

impl HttpControlPlane {
    /// Creates a control plane from a client that holds an agent's key.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

pub(super) fn refusal(error: ClientError) -> ControlPlaneError {
    let (problem, retry_after) = match error {
        ClientError::Unreachable(what) | ClientError::Build(what) => {
            return ControlPlaneError::Unreachable(what);
        }
        error @ ClientError::PlainHttp { .. } => return ControlPlaneError::Unreachable(error.to_string()),
        ClientError::Malformed(what) => return ControlPlaneError::Malformed(what),
        ClientError::Problem { problem, retry_after } => (problem, retry_after),
    };
    let slug = problem.slug().to_owned();
    match (problem.status, slug.as_str()) {
        (404, _) => ControlPlaneError::NotFound,
        (401 | 403, _) => ControlPlaneError::Refused(slug),
        (409, "instance-superseded" | "wrong-cluster") => ControlPlaneError::Superseded(slug),
        (409 | 429 | 500..=599, _) => ControlPlaneError::NotReady { problem: slug, retry_after },
        _ => ControlPlaneError::Rejected(slug),
    }
}

fn header<T: std::str::FromStr>(answer: &Answer, name: &str) -> Result<T, ControlPlaneError> {
    let value = answer.headers.get(name).and_then(|it| it.to_str().ok()?.parse().ok());
    value.ok_or_else(|| ControlPlaneError::Malformed(format!("header {name} is missing or malformed")))
}

#[async_trait]
impl ControlPlane for HttpControlPlane {
    async fn identify(&self) -> Result<Identity, ControlPlaneError> {
        let who: WhoAmI = self.client.send(Method::POST, "/auth/pak", None::<&()>).await.map_err(refusal)?;
        if who.kind != KeyKind::Agent {
            return Err(ControlPlaneError::Refused("not-an-agent".to_owned()));
        }
        let agent_id = who.principal_id.parse().map_err(|_| {
            ControlPlaneError::Malformed("principal_id is not an agent id; use an agent's key".to_owned())
        })?;
        Ok(Identity { agent_id, name: who.name })
    }

    async fn target_state(&self, agent: AgentId, request: PollRequest) -> Result<PollAnswer, ControlPlaneError> {
        let mut path = format!("/agents/{agent}/target-state?wait={}", request.wait.as_secs());
        if request.knows_hold {
            path.push_str("&hold=true");
        }
        if let Some(generation) = request.min_generation {
            path.push_str(&format!("&min_generation={}", generation.get()));
        }
        if let Some(epoch) = request.epoch {
            path.push_str(&format!("&epoch={epoch}"));
        }
        let mut call = Call::get(path);
        call.timeout += request.wait;
        if let Some(known) = request.known {
            call.headers.push((header::IF_NONE_MATCH, format!("\"{known}\"")));
        }
        let answer = self.client.call(call).await.map_err(refusal)?;
        if answer.status == StatusCode::NOT_MODIFIED {
            if request.known.is_none() {
                return Err(ControlPlaneError::Malformed("status 304 to a request without an ETag".to_owned()));
            }
            let generation = Generation::new(header(&answer, GENERATION_HEADER)?);
            return Ok(PollAnswer::Unchanged { generation, epoch: header(&answer, EPOCH_HEADER)? });
        }
        let state: TargetState = serde_json::from_slice(&answer.body)
            .map_err(|_| ControlPlaneError::Malformed("the body is not a target state".to_owned()))?;
        Ok(PollAnswer::Changed(Arc::new(state)))
    }

    async fn deployment_object(&self, id: DeploymentObjectId) -> Result<Bytes, ControlPlaneError> {
        let mut call = Call::get(format!("/deployment-objects/{id}"));
        call.headers.push((header::ACCEPT, "application/yaml".to_owned()));
        call.timeout = Duration::from_secs(60);
        Ok(self.client.call(call).await.map_err(refusal)?.body)
    }

    async fn report(&self, agent: AgentId, report: &Report) -> Result<ReportAnswer, ControlPlaneError> {
        self.client.send(Method::POST, &format!("/agents/{agent}/reports"), Some(report)).await.map_err(refusal)
    }
}

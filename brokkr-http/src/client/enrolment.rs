//! Joining over HTTP.

use async_trait::async_trait;
use brokkr_core::protocol::{ControlPlaneError, Enrolment, Identity, JoinRequest};
use http::Method;

use super::control_plane::refusal;
use super::{Client, ClientError};
use crate::api::{CreatedAgent, JoinAgent};

/// An [`Enrolment`] that reaches its broker over HTTP.
#[derive(Debug, Clone)]
pub struct HttpEnrolment {
    client: Client,
}

impl HttpEnrolment {
    /// Creates an enrolment from a client that holds a join token in place of a key.
    ///
    /// ```
    /// use brokkr_http::client::{Client, HttpEnrolment, install_crypto_provider};
    ///
    /// install_crypto_provider();
    /// let enrolment = HttpEnrolment::new(Client::builder(["https://broker.example"], "brokkr_join_…").build()?);
    /// # Ok::<_, brokkr_http::client::ClientError>(())
    /// ```
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

/// Keeps the broker's explanation of a refusal: it says what to do.
fn explained(error: ClientError) -> ControlPlaneError {
    match &error {
        ClientError::Problem { problem, retry_after: None } if matches!(problem.status, 400 | 409 | 422) => {
            let detail = problem.detail.as_deref().unwrap_or(&problem.title);
            ControlPlaneError::Rejected(format!("{} ({detail})", problem.slug()))
        }
        _ => refusal(error),
    }
}

#[async_trait]
impl Enrolment for HttpEnrolment {
    async fn join(&self, request: &JoinRequest) -> Result<Identity, ControlPlaneError> {
        let body = JoinAgent {
            name: request.name.clone(),
            cluster_name: request.cluster_name.clone(),
            cluster_uid: Some(request.cluster_uid.clone()),
            key_hash: Some(request.key_hash.to_string()),
        };
        let joined: CreatedAgent = self.client.send(Method::POST, "/join", Some(&body)).await.map_err(explained)?;
        Ok(Identity { agent_id: joined.agent.id, name: joined.agent.name })
    }
}

//! The first start of an agent: it exchanges a join token for a key, which it keeps in a Secret.
//!
//! The agent stores its key before it presents the key's hash, so a crash at any point loses nothing: the next start, or
//! another replica, repeats the join with the stored key and is the same agent.

use std::sync::Arc;

use brokkr_core::entropy::SystemEntropy;
use brokkr_core::model::KeyKind;
use brokkr_core::pak::{Pak, PakError};
use brokkr_core::protocol::{ControlPlaneError, Enrolment, JoinRequest};
use brokkr_reconcile::cluster::{Cluster, ClusterError, IntoCluster};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::asked_pause;
use super::key_secret::KeySecret;
use super::start::{cluster_uid, ensure_namespace};

/// What an agent tells about itself when it joins, and where it keeps its key.
///
/// ```
/// use brokkr_agent_runtime::JoinConfig;
///
/// let join = JoinConfig::default().name("edge-1").cluster_name("eu-west-1");
/// ```
#[derive(Debug, Clone)]
pub struct JoinConfig {
    name: Option<String>,
    cluster_name: String,
    secret: String,
}

impl JoinConfig {
    /// Default of [`secret`](Self::secret).
    pub const SECRET: &'static str = "brokkr-agent-key";

    /// Sets the name of the agent, which is unique among the agents of the broker. Default: `cluster-` and the first eight
    /// characters of the cluster's UID. Two agents in one cluster need different names.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the name of the cluster, for display only. Default: empty.
    #[must_use]
    pub fn cluster_name(mut self, name: impl Into<String>) -> Self {
        self.cluster_name = name.into();
        self
    }

    /// Sets the name of the Secret, in the agent's namespace, that keeps the key. Default: [`SECRET`](Self::SECRET). Two agents
    /// in one namespace need different names.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.secret = name.into();
        self
    }

    fn name_in(&self, cluster_uid: &str) -> String {
        let derived = || format!("cluster-{}", cluster_uid.chars().take(8).collect::<String>().to_lowercase());
        self.name.clone().unwrap_or_else(derived)
    }
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self { name: None, cluster_name: String::new(), secret: Self::SECRET.to_owned() }
    }
}

/// The error of a join that cannot succeed by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The broker refuses the join token.
    #[error("the broker refuses the join token ({0}): it is mistyped, used up, expired or deleted; create another one")]
    Refused(String),
    /// The broker rejects the request.
    #[error("the broker rejects the join: {0}")]
    Rejected(String),
    /// The agent cannot generate a key.
    #[error("cannot generate a key: {0}")]
    NoKey(#[from] PakError),
    /// The cluster refuses access to the Secret.
    #[error("cannot use the Secret with the agent's key: {0}")]
    Secret(#[source] ClusterError),
}

enum Failure {
    Fatal(JoinError),
    Later(Box<dyn std::error::Error + Send + Sync>, Option<std::time::Duration>),
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Invalid(_) => Self::Fatal(JoinError::Secret(error)),
            error => Self::Later(Box::new(error), None),
        }
    }
}

impl From<ControlPlaneError> for Failure {
    fn from(error: ControlPlaneError) -> Self {
        match error {
            ControlPlaneError::Refused(problem) => Self::Fatal(JoinError::Refused(problem)),
            ControlPlaneError::Rejected(problem) => Self::Fatal(JoinError::Rejected(problem)),
            error => {
                let asked = error.retry_after();
                Self::Later(Box::new(error), asked)
            }
        }
    }
}

/// Returns the key in the agent's Secret; `None` if there is none. Does not join.
///
/// # Errors
///
/// [`JoinError::Secret`] if the Secret cannot be read, or has no valid key.
pub async fn stored_key(
    cluster: impl IntoCluster,
    config: &AgentConfig,
    join: &JoinConfig,
) -> Result<Option<SecretString>, JoinError> {
    let secret = KeySecret::new(cluster.into_cluster(), &config.namespace, &join.secret);
    let stored = secret.read().await.map_err(JoinError::Secret)?;
    Ok(stored.map(|key| key.pak))
}

/// Returns the agent's key. Takes the key from the agent's Secret if it is there; otherwise generates a key, stores it and joins
/// with it. Retries failures of broker and cluster. Returns `None` if stopped meanwhile.
///
/// Replicas that start at the same time get the same key: one of them creates the Secret, and all join with the key in it.
///
/// # Errors
///
/// [`JoinError`] if the broker refuses the token or the name, and if the Secret has no valid key.
///
/// # Cancel safety
///
/// Dropping the future loses nothing: the next call continues with the stored key.
pub async fn join(
    broker: &dyn Enrolment,
    cluster: impl IntoCluster,
    config: &AgentConfig,
    join: &JoinConfig,
    stop: &CancellationToken,
) -> Result<Option<SecretString>, JoinError> {
    let cluster = cluster.into_cluster();
    let secret = KeySecret::new(cluster.clone(), &config.namespace, &join.secret);
    let mut failures = 0;
    loop {
        let result = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            result = attempt(broker, &cluster, &secret, config, join) => result,
        };
        let (error, asked) = match result {
            Ok(key) => return Ok(Some(key)),
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::Later(error, asked)) => (error, asked),
        };
        failures += 1;
        tracing::warn!(%error, failures, "joining failed; the agent retries");
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(asked_pause(asked, failures, config.retry_first, config.retry_max)) => {}
        }
    }
}

async fn attempt(
    broker: &dyn Enrolment,
    cluster: &Arc<dyn Cluster>,
    secret: &KeySecret,
    config: &AgentConfig,
    join: &JoinConfig,
) -> Result<SecretString, Failure> {
    let stored = match secret.read().await? {
        Some(stored) => stored,
        None => {
            ensure_namespace(&**cluster, &config.namespace, "brokkr-agent-key").await?;
            let pak = Pak::generate(KeyKind::Agent, &SystemEntropy).map_err(|error| Failure::Fatal(error.into()))?;
            match secret.create(pak).await {
                // Another replica was faster.
                Ok(()) | Err(ClusterError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let missing = || ClusterError::NotFound("the Secret with the agent's key".to_owned());
            secret.read().await?.ok_or_else(missing)?
        }
    };
    if stored.is_joined {
        return Ok(stored.pak);
    }
    let cluster_uid = cluster_uid(&**cluster, &config.namespace).await?;
    let name = join.name_in(&cluster_uid);
    let cluster_name = join.cluster_name.clone();
    let request = JoinRequest { name, cluster_name, cluster_uid, key_hash: stored.hash };
    let identity = broker.join(&request).await?;
    // From now on a start needs no join token.
    secret.joined(identity.agent_id).await?;
    tracing::info!(agent = %identity.agent_id, name = %identity.name, "joined");
    Ok(stored.pak)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use brokkr_core::model::AgentId;
    use brokkr_core::pak::KeyHash;
    use brokkr_core::protocol::Identity;
    use brokkr_reconcile::cluster::{ApiKind, MemoryCluster, Patch};
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    /// A broker with one token, which loses the first answers.
    #[derive(Debug, Default)]
    struct FakeBroker {
        agents: Mutex<BTreeMap<String, (String, AgentId)>>,
        lost: Mutex<usize>,
        refuses: bool,
    }

    #[async_trait]
    impl Enrolment for FakeBroker {
        async fn join(&self, request: &JoinRequest) -> Result<Identity, ControlPlaneError> {
            if self.refuses {
                return Err(ControlPlaneError::Refused("unauthenticated".to_owned()));
            }
            let hash = request.key_hash.to_string();
            let mut agents = self.agents.lock().expect("not poisoned");
            let (known, agent_id) =
                agents.entry(request.name.clone()).or_insert_with(|| (hash.clone(), AgentId::generate()));
            if *known != hash {
                return Err(ControlPlaneError::Rejected("already-exists".to_owned()));
            }
            let identity = Identity { agent_id: *agent_id, name: request.name.clone() };
            let mut lost = self.lost.lock().expect("not poisoned");
            if *lost > 0 {
                *lost -= 1;
                return Err(ControlPlaneError::Unreachable("timed out".to_owned()));
            }
            Ok(identity)
        }
    }

    fn config() -> AgentConfig {
        AgentConfig::default().retry(Duration::from_millis(1), Duration::from_millis(1))
    }

    async fn joined(broker: &FakeBroker, cluster: &Arc<MemoryCluster>, as_: JoinConfig) -> Result<String, JoinError> {
        let key = join(broker, cluster.clone(), &config(), &as_, &CancellationToken::new()).await?;
        Ok(key.expect("not stopped").expose_secret().to_owned())
    }

    #[tokio::test]
    async fn lost_answers_lead_to_one_agent_with_one_key() {
        let (cluster, broker) = (Arc::new(MemoryCluster::new()), FakeBroker::default());
        *broker.lost.lock().expect("not poisoned") = 3;
        let key = joined(&broker, &cluster, JoinConfig::default()).await.expect("joined");
        let (name, (hash, _)) = broker
            .agents
            .lock()
            .expect("not poisoned")
            .first_key_value()
            .map(|(name, it)| (name.clone(), it.clone()))
            .expect("an agent");
        assert!(name.starts_with("cluster-"), "{name}");
        assert_eq!(hash, KeyHash::of(&key).expect("a key").to_string());
        // From now on the broker is not asked.
        let away = FakeBroker { refuses: true, ..FakeBroker::default() };
        assert_eq!(joined(&away, &cluster, JoinConfig::default()).await.expect("the stored key"), key);
        let stored = stored_key(cluster, &config(), &JoinConfig::default()).await.expect("readable");
        assert_eq!(stored.expect("a key").expose_secret(), key);
        assert_eq!(broker.agents.lock().expect("not poisoned").len(), 1);
    }

    #[tokio::test]
    async fn replicas_that_start_together_use_one_key() {
        for _ in 0..20 {
            let (cluster, broker) = (Arc::new(MemoryCluster::new()), FakeBroker::default());
            let replicas = (0..4).map(|_| joined(&broker, &cluster, JoinConfig::default().name("edge")));
            let keys = futures::future::join_all(replicas).await;
            let keys: Vec<String> = keys.into_iter().map(|it| it.expect("joined")).collect();
            assert!(keys.iter().all(|key| key == &keys[0]), "one key");
            assert_eq!(broker.agents.lock().expect("not poisoned").len(), 1);
        }
    }

    #[tokio::test]
    async fn refusals_end_the_join_and_keep_the_key() {
        let cluster = Arc::new(MemoryCluster::new());
        let broker = FakeBroker { refuses: true, ..FakeBroker::default() };
        let refused = joined(&broker, &cluster, JoinConfig::default().name("edge")).await;
        assert!(matches!(refused, Err(JoinError::Refused(_))), "{refused:?}");
        // With another token the same key joins.
        let broker = FakeBroker::default();
        let stored = stored_key(cluster.clone(), &config(), &JoinConfig::default()).await.expect("readable");
        let key = joined(&broker, &cluster, JoinConfig::default().name("edge")).await.expect("joined");
        assert_eq!(stored.expect("a key").expose_secret(), key);
        // Another cluster cannot join under the same name.
        let other = Arc::new(MemoryCluster::new());
        let rejected = joined(&broker, &other, JoinConfig::default().name("edge")).await;
        assert!(matches!(rejected, Err(JoinError::Rejected(_))), "{rejected:?}");
    }

    #[tokio::test]
    async fn damaged_secret_is_never_replaced() {
        let (cluster, broker) = (Arc::new(MemoryCluster::new()), FakeBroker::default());
        joined(&broker, &cluster, JoinConfig::default()).await.expect("joined");
        let kind = ApiKind::v1("", "Secret", "secrets", true);
        let at = kind.at(Some(AgentConfig::NAMESPACE), JoinConfig::SECRET);
        let damaged = Patch::Merge(json!({"data": {"pak": "bm90IGEga2V5"}}));
        cluster.patch(&at, &damaged, "someone").await.expect("patched");
        let result = joined(&broker, &cluster, JoinConfig::default()).await;
        let Err(JoinError::Secret(error)) = result else { panic!("{result:?}") };
        assert!(error.to_string().contains("delete the Secret"), "{error}");
    }
}

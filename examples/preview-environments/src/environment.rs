//! What an environment consists of.

use brokkr::prelude::*;

/// The webhook's payload: one pull request.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "brokkr::serde", deny_unknown_fields)]
#[schemars(crate = "brokkr::schemars", deny_unknown_fields)]
pub(crate) struct Preview {
    /// The container image of the pull request's build.
    pub(crate) image: String,
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub(crate) replicas: u8,
}

fn one() -> u8 {
    1
}

/// Generates the manifests of one preview environment.
#[derive(Debug)]
pub(crate) struct PreviewEnvironment;

#[async_trait]
impl Generator for PreviewEnvironment {
    type Params = Preview;

    fn name(&self) -> &str {
        "preview-environment"
    }

    async fn generate(&self, ctx: &GenerateContext<'_>, preview: Preview) -> Result<Manifests, GenerateError> {
        let name = &ctx.stack.name;
        let labels = json!({"app.kubernetes.io/name": name});
        let pod =
            json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": preview.image}]}});
        let spec = json!({"replicas": preview.replicas, "selector": {"matchLabels": labels}, "template": pod});
        let metadata = json!({"name": "web", "namespace": name});
        Ok(Manifests::new([
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}),
        ]))
    }
}

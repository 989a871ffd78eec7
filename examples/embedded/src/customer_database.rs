//! The generator for a customer's database.

use brokkr::prelude::*;

/// The size of a customer's database.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "brokkr::schemars")]
pub(crate) struct Size {
    /// Storage in gibibytes.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) gibibytes: u16,
}

/// Generates a PostgreSQL instance for one customer.
#[derive(Debug)]
pub(crate) struct CustomerDatabase;

#[async_trait]
impl Generator for CustomerDatabase {
    type Params = Size;

    fn name(&self) -> &str {
        "customer-database"
    }

    async fn generate(&self, ctx: &GenerateContext<'_>, size: Size) -> Result<Manifests, GenerateError> {
        let name = &ctx.stack.name;
        let metadata = json!({"name": "database", "namespace": name});
        let labels = json!({"app.kubernetes.io/name": name});
        let storage = json!({"requests": {"storage": format!("{}Gi", size.gibibytes)}});
        let claim = json!({
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": storage},
        });
        let mount = json!({"name": "data", "mountPath": "/var/lib/postgresql/data"});
        let container = json!({"name": "postgres", "image": "postgres:17", "volumeMounts": [mount]});
        let set = json!({
            "serviceName": "database",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            "volumeClaimTemplates": [claim],
        });
        let service = json!({"selector": labels, "ports": [{"port": 5432}]});
        Ok(Manifests::new([
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}),
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": set}),
        ]))
    }
}

//! Publications that lose races against others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
use brokkr_control::{Broker, Content};
use brokkr_core::model::{Revision, StackId, StackSpec};
use brokkr_core::store::MemoryStore;
use serde_json::json;

/// Generates one object. Meanwhile another publication for the same stack wins.
#[derive(Debug, Clone, Default)]
struct Raced {
    ran: Arc<AtomicU64>,
    against: Arc<OnceLock<(Broker, StackId)>>,
}

#[async_trait]
impl Generator for Raced {
    type Params = std::collections::BTreeMap<String, String>;

    fn name(&self) -> &str {
        "raced"
    }

    async fn generate(&self, _: &GenerateContext<'_>, data: Self::Params) -> Result<Manifests, GenerateError> {
        let number = self.ran.fetch_add(1, Ordering::SeqCst);
        if let Some((broker, stack)) = self.against.get() {
            let yaml = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: other{number}}}\n");
            let content = Content::Yaml { bytes: yaml.into(), message: String::new() };
            broker.publish(&broker.system_actor(), *stack, content).await.unwrap();
        }
        Ok(Manifests::new([json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})]))
    }
}

#[tokio::test]
async fn lost_race_does_not_prepare_the_content_again() {
    let raced = Raced::default();
    let broker = Broker::builder(MemoryStore::new()).generator(raced.clone()).start().await.unwrap();
    let actor = broker.system_actor();
    let stack = broker.stack_create(&actor, None, StackSpec::named("web")).await.unwrap();
    assert!(raced.against.set((broker.clone(), stack.id)).is_ok());
    let content = Content::Generated { generator: "raced".to_owned(), params: json!({"k": "v"}) };
    let published = broker.publish(&actor, stack.id, content).await.unwrap();
    assert!(published.created);
    assert_eq!(published.object.revision, Revision::new(2), "the other publication was the first");
    assert_eq!(raced.ran.load(Ordering::SeqCst), 1);
    let content = Content::Generated { generator: "raced".to_owned(), params: json!({"k": "w"}) };
    let edit = |spec: StackSpec| Ok(StackSpec { description: "changed".to_owned(), ..spec });
    let applied = broker.stack_apply(&actor, None, "web", edit, Some(content)).await.unwrap();
    assert_eq!(applied.published.map(|it| it.object.revision), Some(Revision::new(4)));
    assert_eq!(raced.ran.load(Ordering::SeqCst), 2);
}

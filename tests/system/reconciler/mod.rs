//! The reconciler, tested on the cluster in memory and on a real API server with an agent's rights.

mod life;
mod ownership;
mod policies;
mod tenants;

/// Generates two tests for each story: one on a cluster in memory, one on a real API server.
macro_rules! on_both_clusters {
    ($($story:ident),+ $(,)?) => {
        mod in_memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    super::$story($crate::support::Stage::memory().await).await;
                }
            )+
        }
        mod on_a_server {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    super::$story($crate::support::Stage::real().await).await;
                }
            )+
        }
    };
}

use on_both_clusters;

//! The reconciler on both clusters, the one in memory and a real API server with an agent's rights: the same stories, the same ends.

mod life;
mod ownership;
mod policies;

/// Makes tests of stories: each is told on a cluster in memory and on a real one.
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

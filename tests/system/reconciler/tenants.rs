//! Two tenants with the same objects: none gets an object of the other, whatever they do in whatever order.

use super::on_both_clusters;
use crate::support::{Act, Stage, Tenants, orders};

on_both_clusters!(
    second_tenant_waits_until_the_first_has_gone,
    tenant_that_adopts_gets_nothing_of_a_living_tenant,
    tenant_that_rolls_back_gets_nothing_of_a_living_tenant,
);

async fn second_tenant_waits_until_the_first_has_gone(stage: Stage) {
    let order = [(0, Act::Publish), (1, Act::Publish), (0, Act::Delete), (1, Act::RollBack), (1, Act::Delete)];
    Tenants::on(stage).await.live(&order).await;
}

async fn tenant_that_adopts_gets_nothing_of_a_living_tenant(stage: Stage) {
    let order = [(0, Act::Publish), (1, Act::Adopt), (1, Act::Publish), (1, Act::Delete), (0, Act::Delete)];
    Tenants::on(stage).await.live(&order).await;
}

async fn tenant_that_rolls_back_gets_nothing_of_a_living_tenant(stage: Stage) {
    let order = [
        (0, Act::Publish),
        (1, Act::Publish),
        (1, Act::Adopt),
        (1, Act::RollBack),
        (0, Act::RollBack),
        (0, Act::Delete),
        (1, Act::Delete),
    ];
    Tenants::on(stage).await.live(&order).await;
}

/// Every order of publishing, adopting, rolling back and deleting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_gives_a_tenant_objects_of_the_other() {
    let all = [
        orders(&[Act::Publish, Act::RollBack, Act::Delete], &[Act::Publish, Act::Adopt, Act::Delete]),
        orders(&[Act::Publish, Act::Adopt, Act::Delete], &[Act::Adopt, Act::Publish, Act::Delete]),
    ]
    .concat();
    assert_eq!(all.len(), 40);
    for some in all.chunks(8) {
        let stories = some.iter().map(async |order| Tenants::on(Stage::memory().await).await.live(order).await);
        futures::future::join_all(stories).await;
    }
}

//! Which deployment a database is that of.

use hallpass::domain::ids::DeploymentId;
use hallpass::store::deployment::DeploymentStore;

use super::at_once;

fn id(number: u32) -> DeploymentId {
    uuid::Uuid::from_u128(u128::from(number) + 1).into()
}

pub async fn a_new_database_has_no_deployment_id_until_one_is_asked_for(store: &dyn DeploymentStore) {
    assert_eq!(store.find_deployment_id().await.expect("an answer"), None);
    assert_eq!(store.deployment_id(id(1)).await.expect("an answer"), id(1));
    assert_eq!(store.deployment_id(id(2)).await.expect("an answer"), id(1), "the first one stays");
    assert_eq!(store.find_deployment_id().await.expect("an answer"), Some(id(1)));
}

pub async fn of_many_replicas_that_start_at_once_all_have_one_deployment_id(store: &dyn DeploymentStore) {
    let answers = at_once(20, |number| store.deployment_id(id(number))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

pub async fn another_deployment_id_replaces_the_one_before_or_none(store: &dyn DeploymentStore) {
    store.replace_deployment_id(id(1)).await.expect("an answer");
    store.replace_deployment_id(id(2)).await.expect("an answer");
    assert_eq!(store.deployment_id(id(3)).await.expect("an answer"), id(2));
}

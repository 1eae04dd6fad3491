//! Values that all replicas share and nobody else may know.

use hallpass::domain::clock::Timestamp;
use hallpass::domain::sealed_value::{SealedBytes, SealedValue};
use hallpass::store::sealed_values::SealedValueStore;

use super::at_once;

fn value(name: &str, byte: u8) -> SealedValue {
    SealedValue {
        name: name.to_owned(),
        sealed: SealedBytes::new(vec![byte; 60]),
        sealed_at: Timestamp::from_millis(1_700_000_000_000 + i64::from(byte)),
    }
}

async fn all(store: &dyn SealedValueStore) -> Vec<SealedValue> {
    store.list_sealed_values().await.expect("an answer")
}

pub async fn a_value_is_the_first_one_that_was_offered(store: &dyn SealedValueStore) {
    assert_eq!(all(store).await, []);
    assert_eq!(store.sealed_value(&value("b", 1)).await.expect("an answer"), value("b", 1));
    assert_eq!(store.sealed_value(&value("b", 2)).await.expect("an answer"), value("b", 1));
    assert_eq!(store.sealed_value(&value("a", 3)).await.expect("an answer"), value("a", 3));
    assert_eq!(all(store).await, [value("a", 3), value("b", 1)]);
}

pub async fn of_many_replicas_that_offer_a_value_at_once_all_are_answered_the_same(
    store: &dyn SealedValueStore,
) {
    let offers: Vec<_> = (0..20).map(|byte| value("a", byte)).collect();
    let answers = at_once(20, |number| store.sealed_value(&offers[number as usize])).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(all(store).await, [answers[0].clone()]);
}

pub async fn a_value_is_replaced_only_where_it_is_as_it_was(store: &dyn SealedValueStore) {
    store.sealed_value(&value("a", 1)).await.expect("an answer");
    store.sealed_value(&value("b", 1)).await.expect("an answer");
    let replace = |before: u8, name: &'static str, byte: u8| async move {
        let (before, new) = (value("", before).sealed, value(name, byte));
        store.replace_sealed_value(&before, &new).await.expect("an answer")
    };
    assert!(!replace(2, "a", 3).await, "it is another");
    assert!(!replace(1, "c", 3).await, "there is none");
    assert!(replace(1, "a", 3).await);
    assert!(!replace(1, "a", 4).await, "it was overtaken");
    assert_eq!(all(store).await, [value("a", 3), value("b", 1)]);
}

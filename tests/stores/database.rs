//! What every [`UserStore`] does, and all that is kept beside the accounts, races included. Each case gets an empty, migrated database.

mod accounts;
mod audit;
mod clients;
mod deployment;
mod faults;
mod fixtures;
mod imports;
mod journal;
mod mailboxes;
mod migrations;
mod postgres_as_it_runs;
mod restored;
mod sealed_values;
mod searches;
mod signing_keys;

use std::future::Future;

use futures_util::future::join_all;
use hallpass::domain::clock::Timestamp;
use hallpass::domain::ids::UserId;
use hallpass::domain::password::PasswordHash;
use hallpass::domain::user::{NewUser, ProfileChange, Role, SecurityVersion, User};
use hallpass::store::{CutOffOrder, InsertUserOutcome, SecurityEvent, UserStore};

use accounts::*;
use audit::*;
use clients::*;
use deployment::*;
use fixtures::{AT, Accounts, EVERYBODY, UserOrder, email, event, insert, name, new_user, user_id};
use imports::*;
use journal::*;
use mailboxes::*;
use restored::*;
use sealed_values::*;
use searches::*;
use signing_keys::*;

/// Runs every case on every engine.
macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let database = super::fixtures::Sqlite::migrated().await;
                super::$case(&database.store).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let database = super::fixtures::Postgres::migrated().await;
                super::$case(&database.store).await;
            }
        )*}

        /// In transaction mode, by a role that may do no more than the service needs.
        mod behind_pgbouncer {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let database = super::fixtures::Postgres::migrated().await;
                let store = database.behind_pgbouncer().await;
                super::$case(&store).await;
            }
        )*}
    };
}

contract! {
    an_inserted_account_is_found_as_it_was_given,
    absent_names_stay_absent,
    an_unknown_account_is_none,
    a_taken_email_is_refused_and_changes_nothing,
    a_taken_email_in_another_case_is_refused,
    an_email_is_found_in_any_case,
    of_fifty_concurrent_inserts_of_one_email_one_wins,
    ids_grow,
    accounts_are_listed_by_id_in_pages,
    a_profile_change_leaves_clears_and_sets,
    a_profile_change_of_nobody_is_none,
    concurrent_changes_of_different_names_both_hold,
    a_password_change_moves_the_version_on,
    a_password_change_at_an_old_version_changes_nothing,
    of_fifty_concurrent_password_changes_one_wins,
    a_change_of_an_account_is_kept_and_written_down,
    all_roles_are_kept_beside_the_one_that_builds_before_know,
    what_is_noted_down_about_an_account_is_kept_and_ends_nothing,
    a_name_that_is_watched_moves_the_version_on_and_no_other_does,
    a_change_to_what_is_so_already_writes_nothing,
    a_change_of_role_keeps_a_proven_address_proven,
    a_taken_address_is_refused,
    an_account_is_found_by_any_spelling_of_its_mailbox,
    one_mailbox_is_one_account,
    an_external_id_is_set_and_cleared_and_ends_nothing,
    an_external_id_that_is_taken_is_refused,
    nobody_is_changed_or_deleted_or_kicked,
    the_last_enabled_administrator_stays,
    an_administrator_is_there_while_one_is_enabled,
    of_many_administrators_who_are_demoted_at_once_one_stays,
    a_deleted_account_is_gone_and_its_cut_off_is_written_down,
    a_deleted_client_is_gone_and_its_end_is_written_down,
    the_id_of_a_deleted_client_is_free_when_its_end_matters_no_more,
    of_many_who_delete_a_client_one_does,
    the_address_of_a_deleted_account_is_free_and_its_id_is_not,
    a_kick_moves_the_version_on_and_changes_nothing_else,
    a_version_is_raised_and_never_lowered,
    of_many_raises_at_once_the_highest_stands,
    all_accounts_move_on_in_pages_and_nothing_is_journaled,
    a_password_that_is_set_replaces_any_version,
    an_address_is_proven_only_while_it_is_the_accounts,
    imported_accounts_are_found_as_they_were_given,
    an_import_leaves_accounts_that_are_there_as_they_stand,
    an_import_of_nobody_is_none,
    of_concurrent_imports_of_the_same_accounts_each_counts_its_own,
    pages_of_a_beginning_are_whole_and_in_order_whether_few_or_many_have_it,
    an_import_leaves_out_whose_external_id_is_there,
    accounts_that_are_there_are_counted,
    a_rehash_keeps_the_version,
    a_rehash_of_a_changed_password_changes_nothing,
    text_is_never_sql,
    an_empty_key_ring_takes_a_key_that_signs_and_no_second_one,
    of_eight_concurrent_first_keys_one_is_kept,
    of_eight_concurrent_next_keys_one_is_kept,
    a_next_key_that_is_asked_for_stands_beside_another,
    a_key_that_is_there_is_not_added_again,
    a_promoted_key_signs_and_the_one_before_is_retiring,
    a_promotion_that_was_overtaken_changes_nothing,
    of_eight_replicas_that_promote_at_once_one_does,
    of_eight_replicas_that_promote_different_keys_one_does,
    a_next_key_signs_where_nothing_does,
    a_key_is_retired_and_then_forgotten,
    a_key_that_signs_is_neither_retired_nor_forgotten,
    a_key_is_revoked_from_any_state_and_for_good,
    the_announcement_of_a_revoked_key_is_noted,
    a_key_is_sealed_anew_in_any_state_and_only_where_it_is_as_it_was,
    a_value_is_the_first_one_that_was_offered,
    of_many_replicas_that_offer_a_value_at_once_all_are_answered_the_same,
    a_value_is_replaced_only_where_it_is_as_it_was,
    an_audit_entry_is_read_as_it_was_written,
    every_audit_action_and_reason_is_kept,
    an_audit_batch_that_is_sent_again_is_kept_once,
    audit_entries_that_are_written_at_once_are_all_kept,
    audit_entries_are_found_by_each_of_their_sides,
    audit_pages_follow_each_other_without_a_gap,
    audit_pages_of_a_time_are_whole_and_in_order_however_long_it_is,
    audit_entries_are_pruned_oldest_first_and_no_further,
    an_audit_id_is_never_given_again,
    a_new_journal_has_a_head_for_each_partition,
    entries_are_read_back_as_they_were_written,
    each_partition_counts_its_own_entries,
    of_fifty_concurrent_appends_each_has_a_position_and_all_are_one_chain,
    a_reader_never_finds_a_gap,
    an_entry_that_is_appended_again_stands_where_it_stood,
    of_eight_replicas_that_append_one_entry_at_once_all_are_told_where_it_stands,
    entries_are_listed_within_bounds_and_in_pages,
    an_entry_is_found_at_its_position_alone,
    entries_of_many_partitions_are_found_at_once,
    every_security_event_writes_one_entry,
    a_version_is_no_earlier_than_its_event,
    concurrent_events_of_one_partition_are_one_chain_in_the_order_of_versions,
    an_event_that_cannot_be_written_down_changes_nothing,
    histories_are_joined_behind_both,
    what_is_before_a_join_is_a_hole,
    a_second_join_leaves_a_hole_up_to_the_later_one,
    concurrent_joins_and_appends_are_one_chain,
    an_incarnation_is_adopted_only_if_it_is_later,
    of_eight_replicas_that_begin_an_incarnation_at_once_one_does,
    an_incarnation_begins_only_where_the_known_one_still_is,
    pruning_takes_what_has_not_mattered_and_nothing_else,
    a_pruned_journal_goes_on_where_it_was,
    the_longest_mirror_staleness_is_kept,
    a_new_database_has_no_deployment_id_until_one_is_asked_for,
    of_many_replicas_that_start_at_once_all_have_one_deployment_id,
    another_deployment_id_replaces_the_one_before_or_none,
    a_running_database_answers_the_ping,
}

/// `make(0)`, `make(1)` … all at once.
async fn at_once<F: Future>(count: u32, make: impl FnMut(u32) -> F) -> Vec<F::Output> {
    join_all((0..count).map(make)).await
}

async fn found(store: &dyn UserStore, id: UserId) -> User {
    store.find_user(id).await.expect("an answer").expect("the account")
}

fn first_name(user: &User) -> Option<&str> {
    user.first_name.as_ref().map(|name| name.as_str())
}

fn last_name(user: &User) -> Option<&str> {
    user.last_name.as_ref().map(|name| name.as_str())
}

async fn an_inserted_account_is_found_as_it_was_given(store: &dyn UserStore) {
    let given = NewUser {
        email: email("ada@example.com"),
        first_name: name("Żółć"),
        last_name: name("O'Brien \"x\" 🦀"),
        role: Role::Admin,
        password: PasswordHash::from_phc("$argon2id$v=19$ada"),
        email_verified: true,
        metadata: r#"{"plan": "pro"}"#.parse().expect("metadata"),
        created_at: Timestamp::from_millis(1_700_000_000_123),
    };
    let inserted = insert(store, &given).await;

    let by_email = store.find_user_by_email(&given.email).await.expect("an answer").expect("the account");
    for user in [&inserted, &found(store, inserted.id).await, &by_email] {
        assert_eq!(user.id, inserted.id);
        assert_eq!(user.email, given.email);
        assert_eq!(user.first_name, given.first_name);
        assert_eq!(user.last_name, given.last_name);
        assert_eq!(user.role(), Role::Admin);
        assert_eq!(user.password, given.password);
        assert!(user.email_verified && !user.disabled);
        assert_eq!(user.security_version, SecurityVersion::of_new_account(given.created_at));
        assert_eq!(user.created_at, given.created_at);
    }
}

async fn absent_names_stay_absent(store: &dyn UserStore) {
    let inserted =
        insert(store, &NewUser { first_name: None, last_name: None, ..new_user("ada@example.com") }).await;
    let user = found(store, inserted.id).await;
    assert_eq!((first_name(&user), last_name(&user)), (None, None));
}

async fn an_unknown_account_is_none(store: &dyn UserStore) {
    insert(store, &new_user("ada@example.com")).await;
    assert!(store.find_user(user_id(99)).await.expect("an answer").is_none());
    assert!(store.find_user_by_email(&email("eve@example.com")).await.expect("an answer").is_none());
}

async fn a_taken_email_is_refused_and_changes_nothing(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let thief = NewUser {
        role: Role::Admin,
        password: PasswordHash::from_phc("$thief$"),
        ..new_user("ada@example.com")
    };
    let outcome = store.insert_user(&thief).await.expect("an answer");
    assert!(matches!(outcome, InsertUserOutcome::EmailTaken));

    let user = found(store, ada.id).await;
    assert_eq!((user.role(), user.password), (ada.role(), ada.password));
    assert_eq!(store.list_users(&EVERYBODY, UserOrder::Oldest, None, 10).await.expect("an answer").len(), 1);
}

async fn a_taken_email_in_another_case_is_refused(store: &dyn UserStore) {
    insert(store, &new_user("Ada@Example.com")).await;
    let outcome = store.insert_user(&new_user("aDA@eXAMPLE.COM")).await.expect("an answer");
    assert!(matches!(outcome, InsertUserOutcome::EmailTaken));
}

async fn an_email_is_found_in_any_case(store: &dyn UserStore) {
    // Also in letters whose case SQL does not know.
    for address in ["Ada@Example.com", "ŻÓŁĆ@Example.com", "ΣΟΦΟΣ@Example.com"] {
        let inserted = insert(store, &new_user(address)).await;
        let user = store.find_user_by_email(&email(address)).await.expect("an answer");
        assert_eq!(user.map(|user| user.id), Some(inserted.id), "{address}");
    }
}

async fn of_fifty_concurrent_inserts_of_one_email_one_wins(store: &dyn UserStore) {
    let user = new_user("ada@example.com");
    let outcomes = at_once(50, |_| store.insert_user(&user)).await;
    let inserted: Vec<User> = outcomes
        .into_iter()
        .filter_map(|outcome| match outcome.expect("an answer") {
            InsertUserOutcome::Inserted(user) => Some(*user),
            InsertUserOutcome::EmailTaken => None,
        })
        .collect();
    assert_eq!(inserted.len(), 1);

    let all = store.list_users(&EVERYBODY, UserOrder::Oldest, None, 100).await.expect("an answer");
    assert_eq!(all.iter().map(|user| user.id).collect::<Vec<_>>(), [inserted[0].id]);
}

async fn ids_grow(store: &dyn UserStore) {
    let first = insert(store, &new_user("a@example.com")).await.id;
    store.insert_user(&new_user("a@example.com")).await.expect("an answer");
    let second = insert(store, &new_user("b@example.com")).await.id;
    assert!(first < second);
}

async fn accounts_are_listed_by_id_in_pages(store: &dyn UserStore) {
    let mut ids = Vec::new();
    for letter in ["c", "a", "d", "b", "e"] {
        ids.push(insert(store, &new_user(&format!("{letter}@example.com"))).await.id);
    }
    let page = async |after, limit| {
        let users = store.list_users(&EVERYBODY, UserOrder::Oldest, after, limit).await.expect("an answer");
        users.iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2).await, ids[..2]);
    assert_eq!(page(Some(ids[1]), 2).await, ids[2..4]);
    assert_eq!(page(Some(ids[3]), 2).await, ids[4..]);
    assert_eq!(page(Some(ids[4]), 2).await, []);
    assert_eq!(page(None, 0).await, []);
    assert_eq!(page(None, u32::MAX).await, ids);
}

async fn a_profile_change_leaves_clears_and_sets(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let change = async |first_name, last_name| {
        let change = ProfileChange { first_name, last_name };
        let answered = store.update_profile(ada.id, &change).await.expect("an answer").expect("the account");
        let stored = found(store, ada.id).await;
        assert_eq!((&answered.first_name, &answered.last_name), (&stored.first_name, &stored.last_name));
        assert_eq!((&stored.password, stored.security_version), (&ada.password, ada.security_version));
        stored
    };

    let user = change(None, None).await;
    assert_eq!((first_name(&user), last_name(&user)), (Some("Ada"), Some("Lovelace")));
    let user = change(Some(None), None).await;
    assert_eq!((first_name(&user), last_name(&user)), (None, Some("Lovelace")));
    let user = change(Some(name("Augusta")), Some(None)).await;
    assert_eq!((first_name(&user), last_name(&user)), (Some("Augusta"), None));
}

async fn a_profile_change_of_nobody_is_none(store: &dyn UserStore) {
    let change = ProfileChange { first_name: Some(None), last_name: None };
    assert!(store.update_profile(user_id(99), &change).await.expect("an answer").is_none());
}

async fn concurrent_changes_of_different_names_both_hold(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let first = ProfileChange { first_name: Some(name("Augusta")), last_name: None };
    let last = ProfileChange { first_name: None, last_name: Some(name("King")) };
    for answer in at_once(20, |n| store.update_profile(ada.id, if n % 2 == 0 { &first } else { &last })).await
    {
        answer.expect("an answer");
    }
    let user = found(store, ada.id).await;
    assert_eq!((first_name(&user), last_name(&user)), (Some("Augusta"), Some("King")));
}

async fn change_password(
    store: &dyn UserStore,
    id: UserId,
    expected: SecurityVersion,
    password: &PasswordHash,
) -> Option<SecurityEvent> {
    store.change_password(id, expected, password, event()).await.expect("an answer")
}

async fn a_password_change_moves_the_version_on(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let new = PasswordHash::from_phc("$new$");
    let changed = change_password(store, ada.id, SecurityVersion::FIRST, &new).await;
    let changed = changed.expect("the account");
    for user in [&changed.user, &found(store, ada.id).await] {
        assert_eq!(user.password, new);
        assert_eq!(user.security_version, SecurityVersion::FIRST.next(AT));
    }
    assert_the_only_entry(store, &CutOffOrder::from(&changed)).await;
}

async fn a_password_change_at_an_old_version_changes_nothing(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let first = PasswordHash::from_phc("$first$");
    let late = PasswordHash::from_phc("$late$");
    let changed = change_password(store, ada.id, SecurityVersion::FIRST, &first).await;
    for version in [SecurityVersion::FIRST, SecurityVersion::new(3)] {
        assert!(change_password(store, ada.id, version, &late).await.is_none());
    }
    assert!(change_password(store, user_id(99), SecurityVersion::FIRST, &late).await.is_none());
    let user = found(store, ada.id).await;
    assert_eq!((user.password, user.security_version), (first, SecurityVersion::new(2)));
    assert_the_only_entry(store, &CutOffOrder::from(&changed.expect("the account"))).await;
}

async fn of_fifty_concurrent_password_changes_one_wins(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let hashes: Vec<PasswordHash> = (0..50).map(|n| PasswordHash::from_phc(format!("${n}$"))).collect();
    let change = |n: u32| change_password(store, ada.id, SecurityVersion::FIRST, &hashes[n as usize]);
    let winners: Vec<_> = at_once(50, change).await.into_iter().flatten().collect();
    let [winner] = &winners[..] else { panic!("{} win", winners.len()) };

    let user = found(store, ada.id).await;
    assert_eq!(user.password, winner.user.password);
    assert_eq!(user.security_version, SecurityVersion::new(2));
    assert_the_only_entry(store, &CutOffOrder::from(winner)).await;
}

async fn a_rehash_keeps_the_version(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let stronger = PasswordHash::from_phc("$stronger$");
    assert!(store.rehash_password(ada.id, &ada.password, &stronger).await.expect("an answer"));
    let user = found(store, ada.id).await;
    assert_eq!((user.password, user.security_version), (stronger, SecurityVersion::FIRST));
}

async fn a_rehash_of_a_changed_password_changes_nothing(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let changed = PasswordHash::from_phc("$changed$");
    change_password(store, ada.id, SecurityVersion::FIRST, &changed).await;
    let stronger = PasswordHash::from_phc("$stronger$");
    assert!(!store.rehash_password(ada.id, &ada.password, &stronger).await.expect("an answer"));
    assert_eq!(found(store, ada.id).await.password, changed);
}

async fn text_is_never_sql(store: &dyn UserStore) {
    let evil = "'); DROP TABLE users; --";
    let user =
        NewUser { first_name: name(evil), last_name: name("$1 ?1 %s"), ..new_user("ada'--@example.com") };
    let inserted = insert(store, &user).await;
    assert_eq!(first_name(&found(store, inserted.id).await), Some(evil));
}

async fn a_running_database_answers_the_ping(store: &dyn UserStore) {
    store.ping().await.expect("an answer");
}

//! The contract of [`TokenStore`]: every sentence of its documentation, as a case.
//!
//! A case is an `async fn(&SharedStore, &ManualClock)` and knows no backend. A backend's file runs
//! all of them with one line, [`contract!`], which makes one `#[test]` per case; a case that is not
//! on the list there is dead code, and the compiler says so.
//!
//! Cases use ids of their own ([`Person`]), so a backend may run them on one shared server. All
//! start at [`START`]; a store that counts its age from its first session must be fresh per case.

mod access;
mod cut_off;
mod evictions;
mod given_again;
mod issued;
mod listed;
mod refresh;
mod reset;
mod revoke;
pub mod support;

pub use crate::journaled::bounds::*;
pub use access::*;
pub use cut_off::*;
pub use evictions::*;
pub use given_again::*;
pub use issued::*;
pub use listed::*;
pub use refresh::*;
pub use reset::*;
pub use revoke::*;
pub use support::{SharedStore, run};

/// Runs every case against a backend: one `#[test]` each, in the module that calls this.
///
/// Takes an `async fn(Arc<ManualClock>) -> (SharedStore, Guard)` that makes a fresh store; the
/// guard (a temporary folder, say) is dropped when the case is over. Attributes in front of it,
/// such as `#[ignore = "…"]`, go to each test.
macro_rules! contract {
    ($(#[$attribute:meta])* $open:path) => {
        $crate::token_store::contract! {
            @cases $open; { $(#[$attribute])* }
            // refresh
            a_new_session_keeps_every_field
            a_session_of_unknown_origin_keeps_that_it_is_unknown
            a_current_token_is_rotated_to_its_successor
            a_token_redeemed_again_within_the_grace_period_gets_the_same_successor
            the_grace_period_ends_to_the_millisecond
            a_replay_within_the_grace_period_does_not_prolong_it
            a_grace_period_of_zero_makes_every_replay_reuse
            a_used_successor_closes_the_grace_period_at_once
            a_token_two_generations_back_revokes_its_session_and_no_other
            fifty_rotations_of_one_token_give_one_successor
            fifty_reuses_of_one_token_are_reported_once
            a_token_newer_than_the_store_knows_moves_the_session_forward
            checking_a_newer_token_moves_the_session_to_it
            an_idle_session_ends_to_the_millisecond
            a_session_ends_at_its_absolute_end_to_the_millisecond
            a_rotation_moves_the_idle_end_but_not_the_absolute_end
            a_superseded_token_of_an_ended_session_is_expired_not_reused
            checking_neither_rotates_nor_prolongs
            checking_knows_the_grace_period
            a_reused_token_that_is_checked_revokes_its_session
            a_reused_token_that_is_only_refused_changes_nothing
            a_token_that_names_another_users_session_is_unknown
            a_token_of_no_session_is_unknown
            // revoke
            a_revoked_session_is_gone_and_others_live_on
            a_session_is_revoked_once
            fifty_revocations_of_one_session_end_it_once
            a_session_that_ended_by_itself_was_not_live
            a_session_is_revoked_by_its_own_user_only
            fifty_rotations_racing_a_revocation_leave_nothing_alive
            // access
            a_live_sessions_access_token_stands
            an_access_token_of_no_session_is_revoked
            an_access_token_that_names_another_users_session_is_revoked
            a_denied_access_token_is_revoked_and_no_other
            a_denial_ends_to_the_millisecond
            checks_at_once_get_each_their_own_answer
            a_repeated_denial_does_not_shorten_the_first
            // issued
            newest_access_tokens_come_in_the_order_of_their_users
            asking_for_no_user_answers_nothing
            a_user_without_sessions_has_no_newest_access_token
            the_newest_access_token_may_be_of_any_session
            a_rotation_mints_an_access_token
            a_replay_within_the_grace_period_mints_an_access_token
            a_rotation_that_moves_a_session_forward_mints_an_access_token
            a_check_mints_an_access_token
            a_check_within_the_grace_period_mints_an_access_token
            a_check_that_moves_a_session_forward_mints_an_access_token
            a_refused_token_mints_nothing
            a_revoked_session_leaves_the_newest_of_the_others
            a_reused_token_leaves_the_newest_of_the_other_sessions
            an_ended_session_leaves_the_newest_of_the_others_to_the_millisecond
            a_cut_off_leaves_the_newest_of_the_sessions_it_spares
            // listed
            a_user_without_sessions_has_none_listed
            sessions_are_listed_newest_first
            a_listed_session_is_as_its_last_rotation_left_it
            nobody_elses_sessions_are_listed
            a_revoked_session_is_not_listed
            a_session_ended_by_reuse_is_not_listed
            a_cut_off_session_is_not_listed
            a_session_is_listed_until_its_end_to_the_millisecond
            fifty_logins_at_once_are_all_listed
            fifty_revocations_at_once_leave_nothing_listed
            the_list_is_that_of_a_model_after_any_interleaving
            sessions_of_many_are_counted_to_the_millisecond
            // cut_off
            a_cut_off_ends_every_older_session_and_answers_them
            a_cut_off_answers_no_session_that_ended_by_itself
            a_cut_off_concerns_one_user
            a_cut_off_spares_sessions_of_its_own_version
            a_cut_off_refuses_sessions_that_are_still_being_opened
            a_session_opened_in_the_second_of_the_cut_off_stands
            a_repeated_cut_off_changes_nothing
            a_late_cut_off_does_not_lower_the_version
            a_late_cut_off_spares_sessions_that_were_opened_under_its_version
            a_cut_off_voids_the_reset_tokens_of_all_places
            fifty_rotations_racing_a_cut_off_leave_nothing_alive
            fifty_logins_racing_a_cut_off_leave_nothing_alive
            // evictions
            an_evicted_session_is_over_and_its_client_is_told_why
            no_session_is_evicted_where_there_is_room
            fifty_evictions_at_once_end_no_more_than_are_too_many
            an_eviction_is_owed_until_it_is_written_down
            the_latest_evictions_of_an_account_are_remembered
            how_sessions_were_used_is_told
            a_list_comes_in_pages
            one_session_is_found_while_it_lives
            very_many_sessions_are_listed_and_cut_off
            // given again
            a_new_account_ends_what_an_earlier_holder_of_its_id_has
            a_new_account_whose_id_is_new_writes_nothing_down
            a_login_ends_what_is_of_an_earlier_version
            // bounds
            what_is_revoked_is_written_down_and_told_once
            a_token_is_revoked_once_more_where_it_would_outlive_its_denial
            a_revocation_that_is_owed_is_pending_and_told_once
            what_is_owed_is_settled_each_for_itself
            what_a_writer_left_behind_is_told_until_it_is_carried_out
            // reset
            a_reset_token_is_found_without_being_consumed
            a_reset_token_is_taken_once
            fifty_takes_of_one_reset_token_succeed_once
            only_the_newest_reset_token_of_a_place_counts
            taking_an_older_reset_token_leaves_the_newest
            a_reset_token_ends_to_the_millisecond
            a_reset_token_belongs_to_its_user
            a_restored_reset_token_is_as_good_as_new
            a_restored_reset_token_keeps_its_deadline
            a_reset_token_restored_after_its_deadline_stays_dead
            a_newer_reset_token_is_not_overwritten_by_a_restored_one
            a_reset_token_voids_none_of_another_place
            taking_a_reset_token_voids_those_of_all_places
            takes_of_four_places_reset_tokens_succeed_once
            a_fifth_place_has_no_reset_token_while_four_have
            whoever_has_more_room_gets_a_reset_token
            fifty_places_at_once_get_four_reset_tokens
            a_restored_reset_token_stands_beside_those_of_other_places
            a_store_that_is_there_answers_a_ping
            a_ping_is_not_answered_by_what_was_whole_once
            a_look_that_failed_before_a_token_was_asked_about_refuses_none
        }
    };
    (@cases $open:path; $attributes:tt $($case:ident)+) => {
        $($crate::token_store::contract! { @case $open; $attributes $case })+
    };
    (@case $open:path; { $(#[$attribute:meta])* } $case:ident) => {
        #[test]
        $(#[$attribute])*
        fn $case() {
            $crate::token_store::run($open, $crate::token_store::$case);
        }
    };
}
pub(crate) use contract;

//! The audit log: whether a page of it takes longer the more entries there are.

use hallpass::domain::audit::{AuditAction, AuditActor, AuditEntry, AuditFilter, AuditId, Reason};
use hallpass::domain::clock::Timestamp;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::store::AuditStore;
use uuid::Uuid;

use super::accounts::Cells;
use super::spent;

/// Entries that are written at once.
const CHUNK: u32 = 5_000;

/// When the first happened; each is a second behind the one before.
const BEGAN: i64 = 1_780_000_000_000;

/// Of how many entries one is of a rare kind.
const RARE: u32 = 5_000;

fn user(number: u32) -> UserId {
    UserId::try_from(i64::from(number % 10_000) + 1).expect("a user id")
}

fn session(number: u32) -> SessionId {
    SessionId::from(Uuid::from_u128(u128::from(number / 4) << 64))
}

fn at(number: u32) -> Timestamp {
    Timestamp::from_millis(BEGAN + i64::from(number) * 1_000)
}

fn entry(number: u32) -> AuditEntry {
    let is_rare = number % RARE == 3;
    AuditEntry {
        event: Uuid::from_u128(u128::from(number) << 64 | 1),
        at: at(number),
        action: if is_rare { AuditAction::SessionsEnded } else { AuditAction::LoginSucceeded },
        actor: AuditActor::User(user(number)),
        user: Some(user(number)),
        session: Some(session(number)),
        token: None,
        address: "192.0.2.7".parse().ok(),
        reason: is_rare.then_some(Reason::RevokedByAdmin),
        object: None,
        count: None,
    }
}

/// Writes so many entries and asks for pages of them.
pub(super) async fn measure(store: &impl AuditStore, count: u32, times: u32, cells: &mut Cells) {
    for begin in (0..count).step_by(CHUNK as usize) {
        let entries: Vec<_> = (begin..u32::min(begin + CHUNK, count)).map(entry).collect();
        store.append_audit(&entries).await.expect("entries");
    }
    let (all, middle) = (AuditFilter::default(), count / 2);
    let common = Some(AuditAction::LoginSucceeded);
    let behind = Some(AuditId::new(i64::from(middle)));
    for (what, filter, before) in [
        ("`GET /audit`, the newest", all.clone(), None),
        ("a page of it in the middle", all.clone(), behind),
        ("of a user", AuditFilter { user: Some(user(7)), ..all.clone() }, None),
        ("by an actor", AuditFilter { actor: Some(AuditActor::User(user(7))), ..all.clone() }, None),
        ("of a session", AuditFilter { session: Some(session(middle)), ..all.clone() }, None),
        ("of a common kind", AuditFilter { action: common, ..all.clone() }, None),
        ("of a rare kind", AuditFilter { action: Some(AuditAction::SessionsEnded), ..all.clone() }, None),
        ("for a reason", AuditFilter { reason: Some(Reason::RevokedByAdmin), ..all.clone() }, None),
        ("`since` a moment ago", AuditFilter { since: Some(at(count - 30)), ..all.clone() }, None),
        (
            "an hour in the middle",
            AuditFilter { since: Some(at(middle)), until: Some(at(middle + 3_600)), ..all.clone() },
            None,
        ),
        ("`until` long ago", AuditFilter { until: Some(at(count / 100)), ..all.clone() }, None),
        (
            "of a common kind, `until` long ago",
            AuditFilter { action: common, until: Some(at(count / 100)), ..all.clone() },
            None,
        ),
    ] {
        let ask = async |_| drop(store.list_audit(&filter, before, 51).await.expect("a page"));
        cells.add(what, spent(None, times, ask).await.p50);
    }
}

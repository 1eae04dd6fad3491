//! Entries of the journal as the scripts that carry them out.

use std::time::Duration;

use redis::ScriptInvocation;

use super::codec::{Answer, CUTOFF, DENYLIST, Entry, SESSION, unreadable};
use super::cut_off::{add_cut_off_keys, session_ids};
use super::feed::FEED;
use super::keys::Keys;
use super::scripts;
use super::time::{millis, span};
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;
use crate::store::revocations::{CarriedOut, Placed};
use crate::store::vouching::BackendResult;

/// An entry that is to be carried out.
pub(super) struct Order {
    pub(super) new: NewEntry,
    /// The vouching that must stand; empty in a replay.
    pub(super) vouching: String,
    /// Where it stands in the journal: 0 for one that is owed to it, -1 in a replay.
    pub(super) position: i64,
    /// The entry before it.
    pub(super) previous: EntryId,
}

/// What an order is about.
pub(super) struct OrderKey {
    place: &'static str,
    key: String,
}

impl OrderKey {
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry { place: self.place, key: &self.key }
    }
}

impl Order {
    /// The script that carries it out, and what that is about.
    pub(super) fn script(
        &self,
        keys: &Keys,
        time_argument: String,
        denial: Duration,
    ) -> (OrderKey, ScriptInvocation<'static>) {
        let NewEntry { id, ref revoked, until } = self.new;
        let partition = keys.partition(revoked.partition());
        match *revoked {
            Journaled::Session { user, session } => {
                let keys = keys.of_user(user);
                let key = keys.session(session);
                let mut script = scripts::REVOKE_SESSION.prepare_invoke();
                script
                    .key(&key)
                    .key(keys.sessions())
                    .key(keys.denied())
                    .key(keys.cutoff())
                    .key(keys.revocations())
                    .key(partition.state())
                    .key(partition.applied())
                    .key(partition.owed())
                    .arg(&time_argument)
                    .arg(session.to_string())
                    .arg(user.get())
                    .arg(span(denial))
                    .arg(&self.vouching)
                    .arg(self.position)
                    .arg(id.get())
                    .arg(self.previous.get())
                    .arg(words(revoked, until));
                (OrderKey { place: SESSION, key }, script)
            }
            Journaled::Token { token, .. } | Journaled::MachineToken(token) => {
                let (key, user) = match *revoked {
                    Journaled::Token { user, .. } => (keys.of_user(user).denied(), user.to_string()),
                    _ => (keys.everybody().denied(), String::new()),
                };
                let mut script = scripts::REVOKE_ACCESS_TOKEN.prepare_invoke();
                script
                    .key(&key)
                    .key(partition.revocations())
                    .key(partition.state())
                    .key(partition.applied())
                    .key(partition.owed())
                    .arg(&time_argument)
                    .arg(token.to_string())
                    .arg(user)
                    .arg(span(denial))
                    .arg(&self.vouching)
                    .arg(self.position)
                    .arg(id.get())
                    .arg(self.previous.get())
                    .arg(words(revoked, until));
                (OrderKey { place: DENYLIST, key }, script)
            }
            Journaled::Client(ref client) => {
                let key = partition.revocations();
                let mut script = scripts::END_CLIENT.prepare_invoke();
                script
                    .key(&key)
                    .key(partition.state())
                    .key(partition.applied())
                    .key(partition.owed())
                    .arg(&time_argument)
                    .arg(client.as_str())
                    .arg(millis(until))
                    .arg(span(denial))
                    .arg(&self.vouching)
                    .arg(self.position)
                    .arg(id.get())
                    .arg(self.previous.get());
                (OrderKey { place: FEED, key }, script)
            }
            Journaled::User { user, below } => {
                let keys = keys.of_user(user);
                let mut script = scripts::CUT_OFF_USER.prepare_invoke();
                add_cut_off_keys(&mut script, &keys);
                script
                    .arg(&time_argument)
                    .arg(below.get())
                    .arg(span(denial))
                    .arg(user.get())
                    .arg(&self.vouching)
                    .arg(self.position)
                    .arg(id.get())
                    .arg(self.previous.get())
                    .arg(millis(until));
                (OrderKey { place: CUTOFF, key: keys.cutoff() }, script)
            }
        }
    }

    /// What that script has done.
    pub(super) fn carried_out(
        &self,
        about: &OrderKey,
        keys: &Keys,
        answer: &Answer,
    ) -> BackendResult<CarriedOut> {
        let (ended, placed) = match (answer.verdict.as_str(), &self.new.revoked) {
            ("live", Journaled::Session { session, .. }) => (vec![*session], 0),
            ("gone" | "foreign", Journaled::Session { .. })
            | ("denied", _)
            | ("announced", Journaled::Client(_)) => (Vec::new(), 0),
            ("ended", Journaled::User { .. }) => {
                (session_ids(about.entry(), answer.fields.get(2..).unwrap_or_default())?, 0)
            }
            _ => {
                let user = self.user().map(|user| keys.of_user(user));
                return Err(match user {
                    Some(keys) => unreadable(about.entry(), &keys, answer),
                    None => about.entry().corrupt(format!("unexpected verdict `{}`", answer.verdict)),
                }
                .into());
            }
        };
        let placed = match answer.field(placed) {
            Some("counted") => Placed::Counted,
            Some("again") => Placed::Again,
            Some("passed") => Placed::Passed,
            Some("diverged") => Placed::Diverged,
            _ => return Err(about.entry().corrupt("the script did not say what became of the mark").into()),
        };
        Ok(CarriedOut { ended, placed })
    }

    fn user(&self) -> Option<UserId> {
        match self.new.revoked {
            Journaled::Session { user, .. }
            | Journaled::User { user, .. }
            | Journaled::Token { user, .. } => Some(user),
            Journaled::MachineToken(_) | Journaled::Client(_) => None,
        }
    }
}

/// An entry as it is kept while it is owed to the journal: `<kind> <user> <subject> <until>`. The scripts
/// write those of sessions whose token was reused, and those of users.
fn words(revoked: &Journaled, until: Timestamp) -> String {
    let until = millis(until);
    match revoked {
        Journaled::Session { user, session } => format!("session {user} {session} {until}"),
        Journaled::User { user, below } => format!("user {user} {} {until}", below.get()),
        Journaled::Token { user, token } => format!("token {user} {token} {until}"),
        Journaled::MachineToken(token) => format!("token - {token} {until}"),
        Journaled::Client(client) => format!("user - {client} {until}"),
    }
}

/// An entry that is owed to the journal, out of those words.
pub(super) fn owed(entry: Entry<'_>, id: &str, text: &str) -> StoreResult<NewEntry> {
    let words: Vec<&str> = text.split(' ').collect();
    let [kind, user, subject, until] = words.as_slice() else {
        return Err(entry.corrupt("it has not four words"));
    };
    let user = || entry.read::<UserId>("user", Some(user));
    let uuid = || entry.read::<uuid::Uuid>("subject", Some(subject));
    let revoked = match *kind {
        "session" => Journaled::Session { user: user()?, session: uuid()?.into() },
        "user" if words[1] == "-" => Journaled::Client(entry.read("subject", Some(subject))?),
        "user" => {
            let below = SecurityVersion::new(entry.read("version", Some(subject))?);
            Journaled::User { user: user()?, below }
        }
        "token" if words[1] == "-" => Journaled::MachineToken(uuid()?.into()),
        "token" => Journaled::Token { user: user()?, token: uuid()?.into() },
        _ => return Err(entry.corrupt("it is of an unknown kind")),
    };
    let until = Timestamp::from_millis(entry.read("until", Some(until))?);
    Ok(NewEntry { id: EntryId::new(entry.read("id", Some(id))?), revoked, until })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_owed_reads_back_as_it_was_written() {
        let user = UserId::try_from(7).expect("a user id");
        let id = Uuid::from_u128(0xabc);
        let until = Timestamp::from_millis(2_000_000_000_250);
        for revoked in [
            Journaled::Session { user, session: id.into() },
            Journaled::User { user, below: SecurityVersion::new(4) },
            Journaled::Token { user, token: id.into() },
            Journaled::MachineToken(id.into()),
            Journaled::Client("orders".parse().expect("a client id")),
        ] {
            let entry = Entry { place: "owed", key: "k" };
            let read = owed(entry, "12", &words(&revoked, until)).expect("an entry");
            assert_eq!(read, NewEntry { id: EntryId::new(12), revoked, until });
        }
    }

    #[test]
    fn what_means_nothing_is_an_error() {
        let entry = Entry { place: "owed", key: "k" };
        for text in
            ["", "session 7 x 1", "user 7 1", "client 7 x 1", "user - 7 1", "token 7 - 1", "user 7 1 x"]
        {
            assert!(owed(entry, "12", text).is_err(), "{text:?}");
        }
    }
}

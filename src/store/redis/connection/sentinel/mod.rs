//! Sentinels, who say where the master is.
//!
//! Whoever connects asks them anew, one after the other with little time in between, and sees that a master
//! answers where they say (`role` of `INFO`, which is read at each connect in any case). Beside that each is asked
//! twice a second over a connection of its own: a connection to a server that is the master no more is given up,
//! though that server has not noticed. Asking is preferred to listening (`+switch-master`): a message that comes while
//! nobody listens is lost, and a Sentinel that fell silent says nothing either.
//!
//! Sentinels count their failovers (`config-epoch`), and one that was cut off knows less than the others: what it says
//! counts only while nobody is known to know better.

mod follow;
mod report;
mod view;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::{ConnectionAddr, ErrorKind, RedisConnectionInfo, RedisError, RedisResult};

use super::in_turn::{Unanswered, in_turn};
use super::wiring::{Line, Wiring};
use crate::domain::sentinel_url::SentinelUrl;
use crate::store::patience;

pub(super) use self::follow::follow;
pub(in crate::store::redis) use self::report::Place;
pub use self::report::SentinelReport;
use self::report::{Heard, Silence, ask};
pub use self::view::SentinelView;

/// How long one Sentinel has to answer, connecting included.
const ANSWER_WAIT: Duration = Duration::from_millis(250);

/// How often the master is looked for by one operation when none answers where it should be.
pub(super) const LOOKS: usize = 3;

/// How long is waited in between.
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Whom to ask, for which master.
pub(in crate::store::redis) struct Watched {
    master: String,
    sentinels: Vec<(String, u16)>,
    /// As whom they are asked.
    account: RedisConnectionInfo,
    tls: bool,
}

impl Watched {
    /// Those of a URL.
    pub(in crate::store::redis) fn by(url: &SentinelUrl) -> Self {
        // Their users need no right to name their client then.
        let mut account = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(own) = url.sentinel_account() {
            account = account.set_password(&own.password);
            if let Some(username) = &own.username {
                account = account.set_username(username);
            }
        }
        let sentinels = url.sentinels().collect();
        Self { master: url.master().to_owned(), sentinels, account, tls: url.is_tls() }
    }

    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        match self.tls {
            false => ConnectionAddr::Tcp(host.to_owned(), port),
            true => ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None },
        }
    }
}

/// All Sentinels of one master.
pub(in crate::store::redis) struct Sentinels {
    watched: Watched,
    wiring: Wiring,
    /// The one that was of use last is asked first.
    first: AtomicUsize,
    /// Where the master is, as far as is known.
    known: RwLock<Option<Arc<Place>>>,
}

impl Sentinels {
    pub(super) fn new(watched: Watched, wiring: Wiring) -> Self {
        Self { watched, wiring, first: AtomicUsize::new(0), known: RwLock::new(None) }
    }

    /// Where the master is by now. Nothing but a Sentinel's answer, given just now, says so.
    ///
    /// # Errors
    /// No Sentinel says so, within a quarter of a second and 40 ms for each of them.
    pub(super) async fn find(&self) -> RedisResult<Arc<Place>> {
        let count = self.watched.sentinels.len();
        let first = self.first.load(Ordering::Relaxed);
        let questions =
            (0..count).map(|step| (first + step) % count).map(|index| (index, self.place_by(index)));
        let mut is_behind = false;
        let found = in_turn(questions, |index, place| {
            let is_taken = !self.knows_better_than(place);
            match is_taken {
                true => self.first.store(index, Ordering::Relaxed),
                false => is_behind = true,
            }
            is_taken
        });
        match found.await {
            Ok(place) => Ok(place),
            Err(Unanswered { silent }) => match self.known() {
                // Those who answer have not heard of the last failover yet.
                Some(known) if is_behind => Ok(known),
                _ => Err(self.nobody_says(silent)),
            },
        }
    }

    async fn place_by(&self, index: usize) -> Result<Arc<Place>, Silence> {
        Ok(self.ask_one(index).await?.place)
    }

    /// Asks one, over a new connection.
    async fn ask_one(&self, index: usize) -> Result<Heard, Silence> {
        let asking = async {
            let mut line = self.connect(index).await?;
            self.ask_over(&mut line).await
        };
        patience::within(ANSWER_WAIT, asking).await?
    }

    async fn connect(&self, index: usize) -> Result<Line, Silence> {
        let Some((host, port)) = self.watched.sentinels.get(index) else { return Err(Silence::Unknown) };
        let address = self.watched.address(host, *port);
        Ok(self.wiring.connect(&address, &self.watched.account).await?)
    }

    async fn ask_over(&self, line: &mut Line) -> Result<Heard, Silence> {
        let told = ask(&mut line.handle, &self.watched.master).await?;
        Ok(Heard::read(&told, |host, port| self.watched.address(host, port))?)
    }

    fn known(&self) -> Option<Arc<Place>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, place: Arc<Place>) {
        let before = self.known.write().unwrap_or_else(PoisonError::into_inner).replace(place.clone());
        if before.is_some_and(|before| before.address != place.address) {
            tracing::warn!(master = %place, "Sentinel names another Redis the master");
        }
    }

    fn knows_better_than(&self, place: &Place) -> bool {
        self.known().is_some_and(|known| known.epoch > place.epoch)
    }

    /// A master answers there.
    pub(super) fn confirm(&self, place: Arc<Place>) {
        if !self.knows_better_than(&place) {
            self.know(place);
        }
    }

    /// Whether the master is known to be elsewhere.
    pub(super) fn has_moved_from(&self, place: Option<&Place>) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_some_and(|known| place.is_none_or(|place| place.address != known.address))
    }

    /// What there is to say when a replica answers where the master should be.
    pub(super) fn not_the_master(&self) -> RedisError {
        RedisError::from(io::Error::other(NotTheMaster(self.watched.master.clone())))
    }

    /// One mistake that all report is one of the settings: waiting mends nothing.
    fn nobody_says(&self, silent: Vec<(usize, Silence)>) -> RedisError {
        let is_mistake = silent.len() == self.watched.sentinels.len()
            && silent.iter().all(|(_, silence)| silence.is_mistake());
        let said = silent.iter().map(|(index, silence)| format!("{} {silence}", self.name(*index)));
        let said = said.collect::<Vec<_>>().join("; ");
        let text = format!("no Sentinel says where the master `{}` is: {said}", self.watched.master);
        match is_mistake {
            true => RedisError::from((ErrorKind::InvalidClientConfig, "Sentinel", text)),
            false => RedisError::from(io::Error::other(text)),
        }
    }

    /// Host and port of one.
    fn name(&self, index: usize) -> String {
        let address = self.watched.sentinels.get(index).map(|(host, port)| self.watched.address(host, *port));
        address.map(|address| address.to_string()).unwrap_or_default()
    }
}

/// A replica answers where Sentinel says that the master is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("where Sentinel says that the master `{0}` is, a replica answers")]
struct NotTheMaster(String);

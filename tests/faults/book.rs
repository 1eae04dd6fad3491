//! One session: what was asked about it and answered, and what is to stand of it.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass_model::replay::{Answered, Asked, Divergence, Lost, Observation, Replay, Span};
use hyper::StatusCode;
use tokio::time::Instant;

use crate::client::{Answer, Tokens};
use crate::replicas::ProcessId;

/// `tokens.refresh.rotation_grace_period` of these services, in milliseconds: the default.
const GRACE: u64 = 30_000;

/// How far the store's clock may be from this process's, in milliseconds: they are on one machine, and busy.
const DOUBT: u64 = 5_000;

/// When the first test of this process began.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A moment in the model's terms.
pub fn millis(at: Instant) -> u64 {
    at.saturating_duration_since(*BEGAN).as_millis().try_into().unwrap_or(u64::MAX)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Live,
    /// It was refused though nobody ended it; with the call that was, and the answer.
    Lost(String),
    /// Its end was acknowledged.
    Ended,
    /// Its end was asked for, or it is an alarm's, and nobody said that it is so for good.
    Unclear,
}

/// A session.
#[derive(Clone)]
pub struct Session {
    pub tokens: Tokens,
    /// The refresh tokens that were used, in their order.
    pub used: Vec<String>,
    pub state: State,
    pub opened_at: Instant,
    /// When its newest tokens were asked for.
    pub minted_at: Instant,
    opened: Span,
    /// What was asked, of whom, and what came of it.
    seen: Vec<(Observation, ProcessId)>,
}

impl Session {
    pub fn opened(tokens: Tokens, asked_at: Instant) -> Self {
        let opened = Span { began: millis(asked_at), ended: millis(Instant::now()) };
        Self {
            tokens,
            used: Vec::new(),
            state: State::Live,
            opened_at: Instant::now(),
            minted_at: asked_at,
            opened,
            seen: Vec::new(),
        }
    }

    /// Writes down what came of a call that began then; no answer is one that says nothing.
    pub fn saw(&mut self, asked_at: Instant, by: ProcessId, asked: Asked, answer: Option<&Answer>) {
        let span = Span { began: millis(asked_at), ended: millis(Instant::now()) };
        let answered = match answer {
            Some(answer) if answer.status != StatusCode::OK => Answered::No,
            Some(answer) if matches!(asked, Asked::Present(_)) => {
                Answered::Generation(generation(&Tokens::of(answer).refresh))
            }
            Some(_) => Answered::Yes,
            None => Answered::Nothing,
        };
        self.seen.push((Observation { span, asked, answered }, by));
    }

    /// Takes the tokens of a refresh that began then.
    pub fn renew(&mut self, asked_at: Instant, tokens: Tokens) {
        self.minted_at = asked_at;
        let before = std::mem::replace(&mut self.tokens, tokens);
        if generation(&before.refresh) < generation(&self.tokens.refresh) {
            self.used.push(before.refresh);
        }
    }

    /// Whether there may be a newer token than its newest: a refresh by that was not answered.
    pub fn may_be_behind(&self) -> bool {
        let asked = Asked::Present(generation(&self.tokens.refresh));
        self.seen.iter().any(|(seen, _)| seen.asked == asked && seen.answered == Answered::Nothing)
    }

    /// How many calls were seen.
    pub fn calls(&self) -> u64 {
        self.seen.len().try_into().unwrap_or(u64::MAX)
    }

    /// All that was seen of it, for who has to find out why an answer is wrong: in milliseconds since the first test
    /// began, and no token.
    pub fn history(&self) -> String {
        let call = |(seen, by): &(Observation, ProcessId)| {
            let Span { began, ended } = seen.span;
            format!("{began}-{ended} {by} {:?} {:?}", seen.asked, seen.answered)
        };
        let calls: Vec<_> = self.seen.iter().map(call).collect();
        let Span { began, ended } = self.opened;
        format!("{began}-{ended} opened; {}; now {:?}", calls.join("; "), self.state)
    }

    /// Holds what was seen against the model.
    ///
    /// # Errors
    /// The first answer that its rules do not give.
    pub fn replay(&self, lost_since: Option<Instant>) -> Result<(), Divergence> {
        let mut seen: Vec<_> = self.seen.iter().map(|(seen, _)| *seen).collect();
        seen.sort_by_key(|observation| observation.span);
        let lost = lost_since.map(|since| Lost { since: millis(since) });
        Replay { grace: GRACE, doubt: DOUBT, lost }.run(self.opened, &seen)
    }
}

/// The generation that a refresh token says it is.
///
/// # Panics
/// It is none.
pub fn generation(token: &str) -> u32 {
    let sealed = token.strip_prefix("hp_rt_").expect("a refresh token");
    let bytes = URL_SAFE_NO_PAD.decode(sealed).expect("base64url");
    // Format 1, user 8, session 16, generation 4.
    u32::from_be_bytes(bytes[25..29].try_into().expect("four bytes"))
}

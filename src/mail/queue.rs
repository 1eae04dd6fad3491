//! The queue between the service and the server that takes mails.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::delivery::{DeliveryError, Transport};
use super::places::{Place, Places, QueueOptions};
use super::templates::{self, Links};
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::random::{self, Random};
use crate::metrics;
use crate::service::mail::{Mail, Mailer, Notice};

/// The end of the queue where mails go in.
pub struct MailQueue {
    entrance: mpsc::UnboundedSender<Posted>,
    places: Places,
    is_shown: bool,
}

/// A mail and its place in the queue, which it keeps until it is sent or given up.
struct Posted {
    mail: Mail,
    place: Place,
}

impl Mailer for MailQueue {
    fn post(&self, mail: Mail) {
        let (user, notice) = (mail.user, mail.notice.kind());
        let Some(place) = self.places.take(&mail.notice, &mail.to) else {
            tracing::warn!(%user, notice, "mail dropped: the queue is full");
            return;
        };
        if self.entrance.send(Posted { mail, place }).is_err() {
            tracing::warn!(%user, notice, "mail dropped: the service is stopping");
        }
    }

    fn is_shown(&self) -> bool {
        self.is_shown
    }
}

/// The task that empties the queue.
pub struct RunningQueue {
    places: Places,
    close: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl MailQueue {
    /// Starts a queue in front of `transport`.
    pub fn start<T: Transport>(
        transport: T,
        links: Links,
        options: QueueOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> (Self, RunningQueue) {
        let places = Places::new(&options);
        let (entrance, exit) = mpsc::unbounded_channel();
        let (close, closing) = oneshot::channel();
        let worker = DeliveryWorker { transport, links, clock, random, options };
        let task = tokio::spawn(empty(exit, Arc::new(worker), closing));
        (
            Self { entrance, places: places.clone(), is_shown: T::IS_SHOWN },
            RunningQueue { places, close, task },
        )
    }
}

impl RunningQueue {
    /// Takes nothing more and sends what is there, for `grace` at most. Answers how many mails are
    /// lost.
    pub async fn finish(mut self, grace: Duration) -> usize {
        // Fails when the task has ended, which is as good.
        let _ = self.close.send(());
        if tokio::time::timeout(grace, &mut self.task).await.is_ok() {
            return 0;
        }
        // Counted first: the mails that are dropped with the task give their places back.
        let lost = self.places.held();
        self.task.abort();
        lost
    }
}

/// Takes mails until told to close, then sees those through that are there.
async fn empty<T: Transport>(
    mut exit: mpsc::UnboundedReceiver<Posted>,
    worker: Arc<DeliveryWorker<T>>,
    mut closing: oneshot::Receiver<()>,
) {
    let mut underway = JoinSet::new();
    loop {
        tokio::select! {
            Some(posted) = exit.recv() => {
                underway.spawn(worker.clone().deliver_until_done(posted));
            }
            Some(_) = underway.join_next(), if !underway.is_empty() => {}
            _ = &mut closing => break,
        }
    }
    exit.close();
    while let Some(posted) = exit.recv().await {
        underway.spawn(worker.clone().deliver_until_done(posted));
    }
    while underway.join_next().await.is_some() {}
}

/// Sees mails through.
struct DeliveryWorker<T> {
    transport: T,
    links: Links,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    options: QueueOptions,
}

impl<T: Transport> DeliveryWorker<T> {
    /// Tries until a mail is sent, refused for good, or of no use any more. What is logged names the
    /// account alone.
    async fn deliver_until_done(self: Arc<Self>, posted: Posted) {
        let Posted { mail, place } = &posted;
        let (user, notice) = (mail.user, mail.notice.kind());
        let letter = templates::write(mail, &self.links);
        let id = random::uuid(&*self.random).to_string();
        let message = match self.transport.write(letter, &mail.to, &id, self.clock.now()) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%user, notice, error = %with_causes(&error), "mail given up");
                metrics::mailed(metrics::Mail::GivenUp);
                return;
            }
        };
        let patience = self.clock.now().after(self.options.patience);
        for tries in 0.. {
            let outcome = {
                let Some(_turn) = place.turn().await else { return };
                if self.clock.now() >= mail.deadline {
                    tracing::warn!(%user, notice, tries, "mail given up: it is of no use any more");
                    metrics::mailed(metrics::Mail::GivenUp);
                    return;
                }
                self.transport.deliver(&message).await
            };
            match outcome {
                Ok(()) => {
                    tracing::info!(%user, notice, "mail sent");
                    metrics::mailed(metrics::Mail::Sent);
                    return;
                }
                Err(error) if error.is_final() => {
                    tracing::warn!(%user, notice, error = %with_causes(&error), "mail refused");
                    metrics::mailed(metrics::Mail::GivenUp);
                    return;
                }
                Err(error) if gives_up_early(mail, &error) && self.clock.now() >= patience => {
                    tracing::warn!(%user, notice, tries, error = %with_causes(&error), "mail given up: the server refuses it for now");
                    metrics::mailed(metrics::Mail::GivenUp);
                    return;
                }
                Err(error) => {
                    let pause = self.pause(tries).min(mail.deadline.since(self.clock.now()));
                    tracing::warn!(%user, notice, ?pause, error = %with_causes(&error), "mail not sent yet");
                    metrics::mailed(metrics::Mail::Retried);
                    if !place.keeps_waiting(tokio::time::sleep(pause)).await {
                        tracing::warn!(%user, notice, tries, "mail given up for others: the queue is full");
                        metrics::mailed(metrics::Mail::GivenUp);
                        return;
                    }
                }
            }
        }
    }

    /// How long to wait after so many tries and one more: doubled each time up to a bound, and
    /// somewhere in the upper half of that, so that what failed together does not return together.
    fn pause(&self, tries: u32) -> Duration {
        let doubled = self.options.first_pause.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX));
        let whole = doubled.min(self.options.longest_pause);
        let mut byte = [0];
        self.random.fill(&mut byte);
        whole / 2 + (whole / 2).mul_f64(f64::from(byte[0]) / 255.0)
    }
}

/// Whether a mail is not worth many tries: anybody can have such mails sent, and the server has an opinion
/// about this one.
fn gives_up_early(mail: &Mail, error: &DeliveryError) -> bool {
    error.is_about_the_mail() && !matches!(mail.notice, Notice::PasswordReset(_))
}

#[cfg(test)]
mod tests;

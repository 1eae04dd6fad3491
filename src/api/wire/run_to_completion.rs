//! A request is finished, though its client has gone.
//!
//! Once an operation has begun to change things it must not be left half done, nor without its entry in
//! the audit log, because somebody hung up. hyper drops the work on a request together with the
//! connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs a future to its end: dropped before that, it goes on as a task of its own.
pub(crate) struct RunToCompletion<F>(Option<Pin<Box<F>>>)
where
    F: Future<Output: Send> + Send + 'static;

impl<F> RunToCompletion<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    pub(crate) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F> Future for RunToCompletion<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let output = future.as_mut().poll(context);
        if output.is_ready() {
            self.0 = None;
        }
        output
    }
}

impl<F> Drop for RunToCompletion<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        // A future that panics is not asked again.
        if let Some(rest) = self.0.take().filter(|_| !std::thread::panicking())
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_finished() {
        let (go_on, told) = oneshot::channel::<()>();
        let (tell, done) = oneshot::channel();
        let mut work = Box::pin(RunToCompletion::new(async move {
            told.await.expect("told");
            tell.send("done").expect("somebody listens");
        }));
        let early = tokio::time::timeout(Duration::ZERO, &mut work).await;
        assert!(early.is_err());
        drop(work);
        go_on.send(()).expect("it still waits");
        assert_eq!(done.await, Ok("done"));
    }

    #[tokio::test]
    async fn what_is_waited_for_is_done_once() {
        let mut times = 0;
        let counting = RunToCompletion::new(async move {
            times += 1;
            times
        });
        assert_eq!(counting.await, 1);
    }
}

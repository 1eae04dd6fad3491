//! Asking several who should know the same, of whom some may be silent.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

/// How long one is waited for before the next is asked as well: one that is silent does not use up the time of an
/// operation.
const NEXT_AFTER: Duration = Duration::from_millis(40);

/// What came of asking all of them, none of whose answers was taken.
pub(super) struct Unanswered<E> {
    /// Who has not answered, and why.
    pub(super) silent: Vec<(usize, E)>,
}

/// Asks one after the other until an answer is taken.
///
/// # Errors
/// [`Unanswered`].
pub(super) async fn in_turn<T, E, Asking>(
    questions: impl ExactSizeIterator<Item = (usize, Asking)>,
    mut is_taken: impl FnMut(usize, &T) -> bool,
) -> Result<T, Unanswered<E>>
where
    Asking: Future<Output = Result<T, E>>,
{
    let mut questions = questions.map(|(index, asking)| async move { (index, asking.await) });
    let (mut asked, mut silent) = (FuturesUnordered::new(), Vec::new());
    loop {
        let answer = match questions.len() {
            0 => asked.next().await,
            _ => timeout(NEXT_AFTER, asked.next()).await.ok().flatten(),
        };
        match answer {
            Some((index, Ok(answer))) if is_taken(index, &answer) => return Ok(answer),
            Some((_, Ok(_))) => {}
            Some((index, Err(error))) => silent.push((index, error)),
            None if questions.len() == 0 => return Err(Unanswered { silent }),
            None => {}
        }
        if let Some(question) = questions.next() {
            asked.push(question);
        }
    }
}

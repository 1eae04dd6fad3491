//! The streams of one server, and how far they were read.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use super::super::codec::Entry;
use super::super::connection::{At, Connection, WaitingConnection};
use super::super::keys::Keys;
use super::super::mirrors::Row;
use super::super::time::Time;
use super::{FEED, PAGE, feed_error};
use crate::domain::partition::Partition;
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// Before the first entry of a stream.
const BEGINNING: &str = "0";

/// What was read of a stream: its name, its rows.
pub(super) type Read = (String, Vec<Row>);

/// The streams of the partitions that one server has, on a connection of its own: a read that waits would hold up
/// others.
pub(super) struct Streams {
    pub(super) partitions: Vec<Partition>,
    pub(super) connection: WaitingConnection,
    /// The state of each partition.
    states: Vec<String>,
    /// Each stream and the last entry of it that was read.
    positions: Vec<(String, String)>,
}

impl Streams {
    /// Those of these partitions, and of `further` streams beside.
    pub(super) fn new(
        shared: Arc<Connection>,
        keys: &Keys,
        partitions: Vec<Partition>,
        further: Option<String>,
    ) -> Self {
        let place = At::partition(partitions.first().copied().unwrap_or(Partition::EVERYBODY));
        let states = partitions.iter().map(|partition| keys.partition(*partition).state()).collect();
        let streams = partitions.iter().map(|partition| keys.partition(*partition).revocations());
        let positions = streams.chain(further).map(|stream| (stream, BEGINNING.to_owned())).collect();
        Self { partitions, connection: WaitingConnection::new(shared, place), states, positions }
    }

    /// Goes on from the beginning: these are other streams, or none at all, and entries of theirs may have any ids.
    pub(super) fn begin_anew(&mut self) {
        self.positions.iter_mut().for_each(|(_, position)| BEGINNING.clone_into(position));
    }

    /// Reads a stream no more.
    pub(super) fn forget(&mut self, stream: &str) {
        self.positions.retain(|(name, _)| name != stream);
    }

    /// What was read has been taken in.
    pub(super) fn advance(&mut self, stream: &str, rows: &[Row]) {
        let position = self.positions.iter_mut().find(|(name, _)| name == stream);
        if let (Some((_, position)), Some((id, _))) = (position, rows.last()) {
            position.clone_from(id);
        }
    }

    /// What the clock shows.
    pub(super) async fn time(&mut self, by: &Vouched) -> BackendResult<Time> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME");
        let answer = self.ask(by, pipeline).await?.pop();
        Ok(OF_ANY.convert(answer.unwrap_or(Value::Nil))?)
    }

    /// The same, and sees that every partition is what was vouched for: one alone can be begun anew, and what its
    /// stream has lost is as little known as what all have.
    pub(super) async fn require(&mut self, by: &Vouched) -> BackendResult<Time> {
        let mut pipeline = redis::pipe();
        self.add_vouchings(&mut pipeline);
        let mut answers = self.ask(by, pipeline.cmd("TIME").clone()).await?;
        let time = OF_ANY.convert(answers.pop().unwrap_or(Value::Nil))?;
        self.compare_vouchings(by, answers)?;
        Ok(time)
    }

    /// Reads all streams by one command, which waits a little for something to come: only where no slots keep them
    /// apart, or of those of one slot alone.
    pub(super) async fn wait_for_any(
        &mut self,
        by: &Vouched,
        only: impl Fn(&str) -> bool,
        wait: Duration,
    ) -> BackendResult<Vec<Read>> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(PAGE);
        let millis = wait.as_millis();
        if millis > 0 {
            read.arg("BLOCK").arg(u64::try_from(millis).unwrap_or(u64::MAX));
        }
        read.arg("STREAMS");
        let streams = || self.positions.iter().filter(|(stream, _)| only(stream));
        for (stream, _) in streams() {
            read.arg(stream);
        }
        for (_, position) in streams() {
            read.arg(position);
        }
        let server = self.server(by)?;
        let reading = self
            .connection
            .run(Some(server), wait, |mut redis| async move { read.query_async::<Value>(&mut redis).await });
        let streams: Option<Vec<Read>> = OF_FEED.convert(reading.await.map_err(feed_error)?)?;
        Ok(streams.unwrap_or_default())
    }

    /// Reads all streams but some, each by a command of its own without waiting in between, and then sees that every
    /// partition is what was vouched for.
    pub(super) async fn read_each(
        &mut self,
        by: &Vouched,
        but: impl Fn(&str) -> bool,
    ) -> BackendResult<Vec<Read>> {
        let mut pipeline = redis::pipe();
        let mut count = 0;
        for (stream, position) in self.positions.iter().filter(|(stream, _)| !but(stream)) {
            pipeline.add_command(read_one(stream, position));
            count += 1;
        }
        self.add_vouchings(&mut pipeline);
        let mut answers = self.ask(by, pipeline).await?;
        let vouchings = answers.split_off(count.min(answers.len()));
        self.compare_vouchings(by, vouchings)?;
        let mut read = Vec::new();
        for answer in answers {
            read.extend(OF_FEED.convert::<Option<Vec<Read>>>(answer)?.unwrap_or_default());
        }
        Ok(read)
    }

    fn add_vouchings(&self, pipeline: &mut Pipeline) {
        for state in &self.states {
            pipeline.cmd("HGET").arg(state).arg("vouching");
        }
    }

    fn compare_vouchings(&self, by: &Vouched, answers: Vec<Value>) -> BackendResult<()> {
        let stored: Vec<Option<String>> = OF_ANY.convert(Value::Array(answers))?;
        let expected =
            self.partitions.iter().map(|partition| Some(by.of(*partition).vouching.get().to_string()));
        if stored.into_iter().eq(expected) { Ok(()) } else { Err(BackendError::Unvouched) }
    }

    /// The server that all of these were found whole on.
    fn server<'a>(&self, by: &'a Vouched) -> BackendResult<&'a str> {
        let mut servers = self.partitions.iter().map(|partition| by.server(*partition));
        let first = servers.next().unwrap_or_default();
        if servers.all(|server| server == first) { Ok(first) } else { Err(BackendError::Unvouched) }
    }

    async fn ask(&mut self, by: &Vouched, pipeline: Pipeline) -> BackendResult<Vec<Value>> {
        let server = self.server(by)?;
        let asking = self.connection.run(Some(server), Duration::ZERO, |mut redis| async move {
            pipeline.query_async::<Vec<Value>>(&mut redis).await
        });
        asking.await.map_err(feed_error)
    }
}

fn read_one(stream: &str, position: &str) -> Cmd {
    redis::cmd("XREAD").arg("COUNT").arg(PAGE).arg("STREAMS").arg(stream).arg(position).to_owned()
}

const OF_FEED: Entry<'_> = Entry { place: FEED, key: "" };
const OF_ANY: Entry<'_> = Entry { place: "state of a partition", key: "of any partition" };

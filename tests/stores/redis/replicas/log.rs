//! Revocations that wait for Redis' log on disk as well: a real server, and one that speaks as a newer
//! Redis does.

use std::sync::{Arc, Mutex};

use hallpass::domain::clock::ManualClock;
use hallpass::domain::journal::VouchingId;
use hallpass::domain::partition::Partition;
use hallpass::store::redis::RedisTokenStore;
use hallpass::store::revocations::RevocationBackend;
use hallpass::store::vouching::{BackendError, Vouched, VouchedPartition};
use hallpass::store::{SessionStore, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{calls, online, options, waiting};
use crate::support::redis::RedisServer;
use crate::token_store::support::*;

/// The log of a real server is waited for exactly where it has one that it can tell of.
#[tokio::test]
async fn the_log_is_waited_for_where_the_server_can_tell_of_it() {
    let (master, replica) = (RedisServer::start(), RedisServer::with_snapshots());
    replica.follow(master.port()).await;
    online(&master, 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let store = waiting(&master, 1, &clock).await;
    for _ in 0..2 {
        let ada = Person::new();
        let session = ada.log_in(&store, &clock).await;
        let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
        assert!(ending.await.expect("an end"));
    }
    let known: Vec<Option<Vec<redis::Value>>> = master.command(&["COMMAND", "INFO", "WAITAOF"]).await;
    let is_known = known.first().is_some_and(|found| found.is_some());
    assert_eq!(calls(&master, "waitaof").await, is_known);
}

/// What a Redis says that is none.
#[derive(Clone, Copy)]
struct Said {
    version: &'static str,
    aof_enabled: &'static str,
    appendfsync: &'static str,
    waitaof: &'static str,
}

impl Said {
    /// One that has a log, and has it on disk.
    const LOGGED: Self = Self {
        version: "7.2.4",
        aof_enabled: "1",
        appendfsync: "*2\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n",
        waitaof: "*2\r\n:1\r\n:0\r\n",
    };

    fn answer(&self, words: &[&str]) -> String {
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        match words {
            ["CLIENT", ..] | ["UNWATCH"] => "+OK\r\n".to_owned(),
            ["PING", number] => bulk(number),
            ["INFO", ..] => bulk(&format!(
                "redis_version:{}\r\naof_enabled:{}\r\nrun_id:a\r\nmaster_replid:b\r\n",
                self.version, self.aof_enabled
            )),
            ["CONFIG", "GET", "appendfsync"] => self.appendfsync.to_owned(),
            ["EVALSHA", ..] => format!("*1\r\n{}", bulk("written")),
            ["WAIT", ..] => ":1\r\n".to_owned(),
            ["WAITAOF", ..] => self.waitaof.to_owned(),
            _ => "-ERR unknown command\r\n".to_owned(),
        }
    }
}

/// Something that speaks as a Redis does which is not installed here, and what it was asked.
struct Fake {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start(said: Said) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("its address"));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = asked.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Self::serve(client, said, heard.clone()));
            }
        });
        Self { url, asked }
    }

    async fn serve(mut client: TcpStream, said: Said, heard: Arc<Mutex<Vec<String>>>) {
        let mut unread = String::new();
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = client.read(&mut buffer).await {
            unread.push_str(&String::from_utf8_lossy(&buffer[..length]));
            while let Some((words, rest)) = command(&unread) {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                heard.lock().expect("no panic").push(words.join(" "));
                let answer = said.answer(&words);
                unread = rest;
                if client.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }

    /// How many commands began like this.
    fn asked(&self, beginning: &str) -> usize {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|command| command.starts_with(beginning)).count()
    }
}

/// The first command, an array of words, and what follows it; `None` while it is not all there.
fn command(unread: &str) -> Option<(Vec<String>, String)> {
    let (count, mut rest) = unread.strip_prefix('*')?.split_once("\r\n")?;
    let mut words = Vec::new();
    for _ in 0..count.parse::<usize>().ok()? {
        let (length, behind) = rest.strip_prefix('$')?.split_once("\r\n")?;
        let length = length.parse::<usize>().ok()?;
        words.push(behind.get(..length)?.to_owned());
        rest = behind.get(length + 2..)?;
    }
    Some((words, rest.to_owned()))
}

/// A store on such a server, and what it was found whole by.
async fn on(fake: &Fake) -> (RedisTokenStore, Vouched) {
    let store = RedisTokenStore::connect_lazy(&fake.url, &mark(), options(1)).expect("a store");
    let partition = VouchedPartition { incarnation: 1, vouching: VouchingId::new(1) };
    (store, Vouched::new("a:b".to_owned(), vec![partition; Partition::COUNT]).expect("all partitions"))
}

#[tokio::test]
async fn a_server_is_asked_once_whether_its_log_can_be_waited_for() {
    let fake = Fake::start(Said::LOGGED).await;
    let (store, by) = on(&fake).await;
    for round in 1..=3 {
        store.replicated(&by, Partition::EVERYBODY).await.expect("it has it");
        assert_eq!((fake.asked("WAIT 1 250"), fake.asked("WAITAOF 1 0 1100")), (round, round));
        assert_eq!(fake.asked("CONFIG GET appendfsync"), 1);
    }
    let without = [
        Said { version: "7.0.15", ..Said::LOGGED },
        Said { aof_enabled: "0", ..Said::LOGGED },
        Said { appendfsync: "*2\r\n$11\r\nappendfsync\r\n$2\r\nno\r\n", ..Said::LOGGED },
        Said { appendfsync: "-NOPERM no permissions to run the 'config|get' command\r\n", ..Said::LOGGED },
    ];
    for said in without {
        let fake = Fake::start(said).await;
        let (store, by) = on(&fake).await;
        for _ in 0..2 {
            store.replicated(&by, Partition::EVERYBODY).await.expect("the replica has it");
        }
        assert_eq!((fake.asked("WAIT 1 "), fake.asked("WAITAOF")), (2, 0));
        assert!(fake.asked("CONFIG") <= 1);
    }
}

#[tokio::test]
async fn what_is_not_in_the_log_is_not_confirmed() {
    let refused = "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n";
    for (waitaof, said, asked) in
        [("*2\r\n:0\r\n:0\r\n", "NotInLog", 1), (refused, "appendonly is disabled", 2)]
    {
        let fake = Fake::start(Said { waitaof, ..Said::LOGGED }).await;
        let (store, by) = on(&fake).await;
        for _ in 0..2 {
            match store.replicated(&by, Partition::EVERYBODY).await {
                Err(BackendError::Store(StoreError::Unavailable { store: "token store", source })) => {
                    assert!(format!("{source:?}").contains(said), "{source:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        // One that keeps no log any more is asked what it keeps once more.
        assert_eq!(fake.asked("CONFIG"), asked);
    }
}

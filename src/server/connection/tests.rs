use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use poem::endpoint::make_sync;
use poem::{Body, EndpointExt, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::Limits;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than any connection without progress is kept.
const PATIENCE: Duration = Duration::from_secs(600);

/// More than the buffers of a connection hold here.
const BIG: usize = 1 << 20;

impl Stream for DuplexStream {
    fn reset_on_close(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A pace as by the defaults.
fn usual() -> Pace {
    let Limits { keep_alive, header_timeout, write_timeout, .. } = Limits::of_tests();
    Pace { keep_alive, header_timeout, write_timeout, is_single: false }
}

fn beyond() -> Pace {
    let second = Duration::from_millis(900);
    Pace { keep_alive: second, header_timeout: second, write_timeout: second, is_single: true }
}

/// A connection under test: its client's end, and what became of it.
struct Served {
    client: DuplexStream,
    ended: JoinHandle<Result<(), Box<dyn Error + Send + Sync>>>,
    leaving: Leaving,
    stop: watch::Sender<()>,
}

fn serve_at(pace: Pace) -> Served {
    let beyond = |request: &poem::Request| request.extensions().get::<BeyondBounds>().is_some();
    let endpoint = Route::new()
        .at("/here", make_sync(move |request| if beyond(&request) { "beyond" } else { "within" }))
        .at("/big", make_sync(|_| vec![b'x'; BIG]))
        .at(
            "/slow",
            poem::endpoint::make(async |_| {
                sleep(60 * SECOND).await;
                "at last"
            }),
        )
        .at(
            "/events",
            make_sync(|_| {
                let events = stream::unfold((), async |()| {
                    sleep(SECOND).await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b"data: 1\n\n")), ()))
                });
                Body::from_bytes_stream(events)
            }),
        )
        .map_to_response();
    let (client, server) = duplex(16 * 1024);
    let here = || Addr::SocketAddr(([127, 0, 0, 1], 1).into());
    let (stop, told) = watch::channel(());
    let leaving = Leaving::default();
    let stopping = Stopping { leaving: leaving.clone(), told };
    let serving = serve(server, Ends { local: here(), remote: here() }, Arc::new(endpoint), pace, stopping);
    Served { client, ended: tokio::spawn(serving), leaving, stop }
}

impl Served {
    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.expect("bytes go");
    }

    /// Asks for something and reads an answer that ends with this.
    async fn ask(&mut self, path: &str, end: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            answer.push(self.client.read_u8().await.expect("an answer"));
        }
        String::from_utf8(answer).expect("text")
    }

    /// Waits for the end; answers why and after how many seconds.
    async fn end(self) -> (Option<Verdict>, u64) {
        let began = Instant::now();
        let ended = timeout(PATIENCE, self.ended).await.expect("an end").expect("no panic");
        let why = ended.err().and_then(|error| error.downcast_ref::<Verdict>().copied());
        (why, began.elapsed().as_secs())
    }
}

/// A client over HTTP/2, which answers PINGs.
struct Http2 {
    sender: http2::SendRequest<Empty<Bytes>>,
    ended: JoinHandle<Result<(), Box<dyn Error + Send + Sync>>>,
    _stop: watch::Sender<()>,
}

impl Http2 {
    async fn open(served: Served, set_up: impl FnOnce(&mut http2::Builder<TokioExecutor>)) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        set_up(&mut builder);
        let handshake = builder.handshake(TokioIo::new(served.client));
        let (sender, connection) = handshake.await.expect("a connection");
        tokio::spawn(connection);
        Self { sender, ended: served.ended, _stop: served.stop }
    }

    async fn ask(&mut self, path: &str) -> hyper::Response<Incoming> {
        let request = Request::get(format!("http://h{path}")).body(Empty::new()).expect("a request");
        self.sender.send_request(request).await.expect("an answer")
    }

    async fn end(self) -> (Option<Verdict>, u64) {
        let began = Instant::now();
        let ended = timeout(PATIENCE, self.ended).await.expect("an end").expect("no panic");
        let why = ended.err().and_then(|error| error.downcast_ref::<Verdict>().copied());
        (why, began.elapsed().as_secs())
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_for_a_while_and_no_longer() {
    assert_eq!(serve_at(usual()).end().await, (None, 75), "one that was never used");

    let mut served = serve_at(usual());
    for _ in 0..3 {
        served.ask("/here", "within").await;
        sleep(Duration::from_millis(74_900)).await;
    }
    served.ask("/here", "within").await;
    assert_eq!(served.end().await, (None, 75));

    // It answers PINGs all the while.
    let mut client = Http2::open(serve_at(usual()), |_| ()).await;
    for _ in 0..3 {
        let answer = client.ask("/here").await.into_body().collect().await.expect("a body");
        assert_eq!(answer.to_bytes(), "within");
        sleep(Duration::from_millis(74_900)).await;
    }
    client.ask("/here").await;
    assert_eq!(client.end().await, (None, 75));
}

#[tokio::test(start_paused = true)]
async fn a_half_sent_head_is_given_up_in_time_from_its_first_byte_on() {
    for bytes in [&b"P"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", b"GET /here HTTP/1.1\r\nHo"] {
        let mut served = serve_at(usual());
        sleep(60 * SECOND).await;
        served.send(bytes).await;
        assert_eq!(served.end().await, (Some(Verdict::HalfSent), 10), "{bytes:?}");
    }
    // Bytes that trickle in are no progress.
    let mut served = serve_at(usual());
    served.ask("/here", "within").await;
    sleep(60 * SECOND).await;
    for byte in b"GET" {
        served.send(&[*byte]).await;
        sleep(3 * SECOND).await;
    }
    assert_eq!(served.end().await, (Some(Verdict::HalfSent), 1));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_cut() {
    let mut served = serve_at(usual());
    served.send(&b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n".repeat(12)).await;
    assert_eq!(served.end().await, (Some(Verdict::Stalled), 30));

    // Nor who reads nothing of answers that have no body.
    let mut served = serve_at(usual());
    served.send(&b"HEAD /here HTTP/1.1\r\nHost: h\r\n\r\n".repeat(400)).await;
    assert_eq!(served.end().await, (Some(Verdict::Stalled), 30));

    // Neither are the PINGs that a client sends, and their answers, progress of an answer.
    for window in [0, 1_000] {
        let mut client = Http2::open(serve_at(usual()), |builder| {
            builder.initial_stream_window_size(window).keep_alive_interval(5 * SECOND);
            builder.keep_alive_while_idle(true);
        })
        .await;
        let answer = client.ask("/big").await;
        assert_eq!(client.end().await, (Some(Verdict::Stalled), 30), "{window}");
        drop(answer);
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_is_served_to_the_end() {
    let mut served = serve_at(usual());
    served.send(b"GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    let mut read = 0;
    loop {
        sleep(20 * SECOND).await;
        let mut bytes = vec![0; 64 * 1024];
        match served.client.read(&mut bytes).await.expect("bytes") {
            0 => break,
            count => read += count,
        }
    }
    assert!(read > BIG, "{read}");
    assert_eq!(served.end().await.0, None);

    let mut client = Http2::open(serve_at(usual()), |builder| {
        builder.initial_stream_window_size(64 * 1024);
    })
    .await;
    let (mut read, mut body) = (0, client.ask("/big").await.into_body());
    while let Some(frame) = body.frame().await {
        read += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
        sleep(20 * SECOND).await;
    }
    assert_eq!(read, BIG);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_makes_progress_lives_on() {
    let mut served = serve_at(usual());
    served.ask("/events", "data: 1\n\n\r\n").await;
    for _ in 0..300 {
        let mut bytes = [0; 64];
        assert_ne!(served.client.read(&mut bytes).await.expect("an event"), 0);
    }
    let mut body = Http2::open(serve_at(usual()), |_| ()).await.ask("/events").await.into_body();
    for _ in 0..300 {
        body.frame().await.expect("a stream that goes on").expect("a frame");
    }
}

/// How long work takes is for the endpoint to bound.
#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_is_not_idle() {
    let short = Pace { keep_alive: SECOND, header_timeout: SECOND, write_timeout: SECOND, is_single: false };
    serve_at(short).ask("/slow", "at last").await;
    let mut client = Http2::open(serve_at(short), |_| ()).await;
    let answer = client.ask("/slow").await.into_body().collect().await.expect("a body");
    assert_eq!(answer.to_bytes(), "at last");
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_runs_and_ends_the_rest() {
    let idle = serve_at(usual());
    sleep(SECOND).await;
    idle.stop.send_replace(());
    assert_eq!(idle.end().await, (None, 0), "never used");

    let mut idle = serve_at(usual());
    idle.ask("/here", "within").await;
    idle.stop.send_replace(());
    assert_eq!(idle.end().await, (None, 0));

    let idle = Http2::open(serve_at(usual()), |_| ()).await;
    sleep(SECOND).await;
    idle._stop.send_replace(());
    assert_eq!(idle.end().await, (None, 0));

    let mut busy = serve_at(usual());
    busy.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    sleep(SECOND).await;
    busy.stop.send_replace(());
    let mut answer = String::new();
    busy.client.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("at last"), "{answer}");
    assert_eq!(busy.end().await, (None, 0));
}

/// Its first request may be on its way: who connects to a service that just stops is not to learn it by a reset.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_just_opened_may_ask_once_when_the_service_stops() {
    let moment = SECOND / 2;
    for half_sent in ["", "GET /here HTTP/1.1\r\n"] {
        let mut served = serve_at(usual());
        served.send(half_sent.as_bytes()).await;
        served.stop.send_replace(());
        sleep(moment).await;
        let request = "GET /here HTTP/1.1\r\nHost: h\r\n\r\n";
        served.send(&request.as_bytes()[half_sent.len()..]).await;
        let mut answer = String::new();
        served.client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("within"), "{answer}");
        assert_eq!(served.end().await, (None, 0), "it ends with that answer");
    }

    let served = serve_at(usual());
    served.stop.send_replace(());
    let mut client = Http2::open(served, |_| ()).await;
    sleep(moment).await;
    let answer = client.ask("/here").await.into_body().collect().await.expect("a body");
    assert_eq!(answer.to_bytes(), "within");
    assert_eq!(client.end().await, (None, 0));

    for (bytes, why) in [(&b""[..], None), (b"GET /he", Some(Verdict::HalfSent))] {
        let mut unused = serve_at(usual());
        unused.send(bytes).await;
        unused.stop.send_replace(());
        assert_eq!(unused.end().await, (why, 1), "{bytes:?}");
    }
    let unused = Http2::open(serve_at(usual()), |_| ()).await;
    unused._stop.send_replace(());
    assert_eq!(unused.end().await, (None, 1));
}

/// One that is told to end, as HTTP/2 does it, and takes no notice.
#[tokio::test(start_paused = true)]
async fn who_does_not_part_is_cut() {
    let mut served = serve_at(usual());
    // The preface and empty SETTINGS; what comes back is not looked at.
    served.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    sleep(SECOND).await;
    served.stop.send_replace(());
    assert_eq!(served.end().await, (Some(Verdict::Lingers), 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_beyond_the_bounds_is_short() {
    let mut served = serve_at(beyond());
    let answer = served.ask("/here", "beyond").await.to_lowercase();
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(timeout(SECOND, served.end()).await.expect("an end"), (None, 0));

    let mut client = Http2::open(serve_at(beyond()), |_| ()).await;
    let answer = client.ask("/here").await.into_body().collect().await.expect("a body");
    assert_eq!(answer.to_bytes(), "beyond");
    assert_eq!(timeout(SECOND, client.end()).await.expect("an end"), (None, 0));

    for (bytes, why) in [
        (&b""[..], Verdict::Idle),
        (b"GET /he", Verdict::HalfSent),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", Verdict::Idle),
        (b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n", Verdict::Stalled),
    ] {
        let mut served = serve_at(beyond());
        served.send(bytes).await;
        let ended = timeout(SECOND, served.end()).await.expect("within a second");
        assert_eq!(ended, (Some(why), 0), "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_keeps_a_connection_is_told_to_open_another_one_before_the_service_stops() {
    let mut served = serve_at(usual());
    let answer = served.ask("/here", "within").await;
    assert!(!answer.to_lowercase().contains("connection: close"), "{answer}");
    served.leaving.begin();
    let answer = served.ask("/here", "within").await;
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(served.end().await, (None, 0), "it ends with that answer");

    // HTTP/2 has no such header: it is told when the service does stop.
    let served = serve_at(usual());
    served.leaving.begin();
    let mut client = Http2::open(served, |_| ()).await;
    for _ in 0..2 {
        assert_eq!(client.ask("/here").await.status(), 200);
    }
}

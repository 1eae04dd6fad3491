//! Answers on their way out, which say how far they have come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};

use super::pulse::{InFlight, Owed, Pulse};

/// The body of an answer. The request counts as answered when it is dropped.
pub(super) struct Answer {
    body: BoxBody<Bytes, io::Error>,
    pulse: Arc<Pulse>,
    _in_flight: InFlight,
}

impl Answer {
    pub(super) fn new(body: BoxBody<Bytes, io::Error>, pulse: Arc<Pulse>, in_flight: InFlight) -> Self {
        Self { body, pulse, _in_flight: in_flight }
    }
}

impl Body for Answer {
    type Data = Piece;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Piece>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let piece = |bytes| Piece { bytes, owed: self.pulse.owe() };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of an answer. Where they wait (for the client's window, in HTTP/2) they are alive.
pub(super) struct Piece {
    bytes: Bytes,
    owed: Owed,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.owed.moved();
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.owed.moved();
        self.bytes.copy_to_bytes(count)
    }
}

//! A socket that notes when its client is slow, and one that gives back what was read.

use super::connection::State;
use super::worker::Worker;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket from which some bytes were read ahead.
pub(super) struct Prefixed<I> {
    ahead: Vec<u8>,
    given: usize,
    socket: I,
}

impl<I> Prefixed<I> {
    pub(super) fn new(ahead: Vec<u8>, socket: I) -> Self {
        Self { ahead, given: 0, socket }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Prefixed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let given = self.given;
        let rest = self.ahead.get(given..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        let now = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..now]);
        self.given += now;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Prefixed<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// A socket that notes in its connection's state when a head begins to arrive and when
/// the client takes nothing.
///
/// An answer is held back until the other connections that are ready have had their turn,
/// so that answers leave together: what wakes a sleeping client costs as much as a decision,
/// and a client that is awake already costs nothing. Where no other is ready, this is one
/// more turn of the same task, far below a microsecond.
pub(super) struct WatchedIo<I> {
    socket: I,
    worker: Rc<Worker>,
    state: Rc<State>,
    /// An answer is being held back.
    held: bool,
}

impl<I> WatchedIo<I> {
    pub(super) fn new(socket: I, worker: Rc<Worker>, state: Rc<State>) -> Self {
        Self { socket, worker, state, held: false }
    }

    /// Lets the other tasks have their turn before something is written.
    fn hold(&mut self, context: &Context<'_>) -> Poll<()> {
        self.held = !self.held;
        if self.held {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn wrote<T>(&self, outcome: Poll<T>) -> Poll<T> {
        match (&outcome, self.state.stuck_since.get()) {
            (Poll::Pending, None) => self.state.stuck_since.set(Some(self.worker.clock_ms())),
            (Poll::Ready(_), Some(_)) => self.state.stuck_since.set(None),
            _ => {}
        }
        outcome
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for WatchedIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let state = &self.state;
        let begins = state.requests.get() == 0 && state.head_since.get().is_none();
        if begins && buffer.filled().len() > before {
            state.head_since.set(Some(self.worker.clock_ms()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for WatchedIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.hold(context));
        let outcome = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.wrote(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.hold(context));
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(context, buffers);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

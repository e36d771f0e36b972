//! The bounded queue between a worker and the writer.

use super::frame::{self, Kind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

/// Waiting bytes at which the writer is woken before its time.
const WAKE_BYTES: usize = 256 << 10;

/// One worker's queue.
pub struct Lane {
    stream: u32,
    queue_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Sequence number of the last decision, logged or lost.
    last: u64,
    lost: Option<(u64, u64)>,
    counts: Counts,
}

/// What a lane has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were queued.
    pub queued: u64,
    /// Records that found no room.
    pub dropped: u64,
    /// Bytes that wait now.
    pub waiting_bytes: u64,
}

impl Lane {
    /// A queue of so many bytes.
    pub fn new(stream: u32, queue_bytes: usize) -> Self {
        Self { stream, queue_bytes, state: Mutex::default() }
    }

    /// The worker's number.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// Queues a record of about `size` bytes, which `write` appends as JSON on one line.
    /// Without room it is counted as lost. Says whether it was queued.
    pub fn push(&self, writer: &Thread, size: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.lock();
        state.last += 1;
        let sequence = state.last;
        if state.waiting.len() + size > self.queue_bytes {
            state.lost = Some((state.lost.map_or(sequence, |(first, _)| first), sequence));
            state.counts.dropped += 1;
            return false;
        }
        self.declare(&mut state);
        let before = state.waiting.len();
        frame::push(&mut state.waiting, Kind::Decision, self.stream, sequence, write);
        state.counts.queued += 1;
        if before < WAKE_BYTES && state.waiting.len() >= WAKE_BYTES {
            writer.unpark();
        }
        true
    }

    /// Whether a record of so many bytes would find room now.
    pub fn has_room(&self, size: usize) -> bool {
        self.lock().waiting.len() + size <= self.queue_bytes
    }

    /// Takes what waits, leaving an empty buffer behind, and says what number follows it.
    pub(super) fn take(&self, empty: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        std::mem::swap(&mut state.waiting, empty);
        state.lost.map_or(state.last + 1, |(first, _)| first)
    }

    /// Declares losses that no later record did, at the end.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        self.declare(&mut state);
    }

    /// What was seen so far.
    pub fn counts(&self) -> Counts {
        let state = self.lock();
        Counts { waiting_bytes: state.waiting.len() as u64, ..state.counts }
    }

    fn declare(&self, state: &mut State) {
        if let Some((first, last)) = state.lost.take() {
            let json = format!(r#"{{"first":{first},"last":{last},"reason":"queue full"}}"#);
            frame::push(&mut state.waiting, Kind::Loss, self.stream, last, |out| {
                out.extend_from_slice(json.as_bytes())
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lanes of all workers.
pub type Lanes = Arc<[Arc<Lane>]>;

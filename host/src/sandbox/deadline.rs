//! How long a call may take: so much time of the clock, unless the machine kept the thread
//! from running.
//!
//! Where many programs share cores, a thread may stand still for longer than any deadline.
//! That is no fault of the guest, and to drop its instance would help nobody. So the
//! deadline has two halves: at the end of the first it is noted how much processor time
//! the thread has had, and a call that got hardly any since then may go on, for a while.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use wasmtime::{Engine, Store, StoreLimits, UpdateDeadline};

/// How many halves a starved call may take at most.
const MOST_HALVES: u32 = 20;

/// What a store holds for its limits.
pub(super) struct Held {
    limits: StoreLimits,
    half_ms: u64,
    /// Processor time at the end of the first half, and how many halves have passed.
    late: Option<(Duration, u32)>,
}

/// A store with these limits.
pub(super) fn store(engine: &Engine, limits: StoreLimits) -> Store<Held> {
    let mut store = Store::new(engine, Held { limits, half_ms: 1, late: None });
    store.limiter(|held| &mut held.limits);
    store.epoch_deadline_callback(|mut context| Ok(context.data_mut().half_is_over(processor_time())));
    store
}

/// A call begins that may take so many milliseconds.
pub(super) fn begin(store: &mut Store<Held>, limit_ms: u64) {
    let half_ms = limit_ms.div_ceil(2).max(1);
    let held = store.data_mut();
    (held.half_ms, held.late) = (half_ms, None);
    store.set_epoch_deadline(half_ms);
}

impl Held {
    fn half_is_over(&mut self, now: Duration) -> UpdateDeadline {
        let (since, halves) = self.late.unwrap_or((now, 0));
        let ran = now.saturating_sub(since);
        let had_its_time = halves > 0 && ran >= Duration::from_millis(self.half_ms) / 2;
        if had_its_time || halves >= MOST_HALVES {
            return UpdateDeadline::Interrupt;
        }
        self.late = Some((since, halves + 1));
        UpdateDeadline::Continue(self.half_ms)
    }
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_on(held: &mut Held, now_ms: u64) -> bool {
        matches!(held.half_is_over(Duration::from_millis(now_ms)), UpdateDeadline::Continue(50))
    }

    #[test]
    fn a_call_that_ran_is_stopped_and_one_that_could_not_goes_on_for_a_while() {
        let fresh = || Held { limits: StoreLimits::default(), half_ms: 50, late: None };
        let mut busy = fresh();
        assert!(goes_on(&mut busy, 1_000) && !goes_on(&mut busy, 1_040));
        let mut starved = fresh();
        assert!(goes_on(&mut starved, 1_000) && goes_on(&mut starved, 1_002));
        // Its time adds up.
        assert!(goes_on(&mut starved, 1_010) && !goes_on(&mut starved, 1_030));
        let mut still = fresh();
        assert_eq!((0..100).take_while(|_| goes_on(&mut still, 7)).count(), MOST_HALVES as usize);
    }
}

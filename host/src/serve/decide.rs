//! One decision, from a request's bytes to a record: the way that every protocol takes.

use super::bundles::{Active, now_ms};
use super::correlation::Correlation;
use super::guest::Silence;
use super::metrics::{Endpoint, Stage};
use super::settings::WhenFull;
use super::worker::Worker;
use crate::fallback::Reason;
use crate::sandbox::{Instance, LoadedBundle, ScoreError};
use bytes::Bytes;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;
use tollgate_scorer::Code;

/// Room that a record takes in the log beside the record itself and the input.
const ENVELOPE_BYTES: usize = 512;
/// What a record is assumed to take before it is there.
const RECORD_BYTES: usize = 4096;

/// What became of one request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The record, the guest's or the fallback's.
    Decided(Bytes),
    /// The request cannot be scored.
    Refused(Code, String),
    /// Nothing can answer yet: no bundle, and no fallback is set.
    NotReady,
    /// The log is full and no decision may go without.
    LogFull,
}

/// What is decided.
pub(super) struct Asked<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) correlation: &'a Correlation,
    /// When the request's head was there.
    pub(super) arrived: Instant,
    /// The request as it goes into the log.
    pub(super) json: &'a [u8],
}

impl Worker {
    /// Decides a JSON request.
    pub(super) fn decide(&self, asked: &Asked<'_>) -> Outcome {
        self.decide_with(asked, |instance, bundle| {
            instance.score_json_in_place(bundle, asked.json).map(Bytes::copy_from_slice)
        })
    }

    /// Decides with a call of its own that gives the record.
    pub(super) fn decide_with(
        &self,
        asked: &Asked<'_>,
        call: impl FnOnce(&mut Instance, LoadedBundle) -> Result<Bytes, ScoreError>,
    ) -> Outcome {
        if self.must_refuse(asked.json.len()) {
            self.metrics().shed("log");
            return Outcome::LogFull;
        }
        let Some(active) = self.shared.active.load_full() else { return self.without_bundle(asked) };
        let begun = Instant::now();
        let answer = self.guest(&active, call);
        let scored = Instant::now();
        self.metrics().stages[Stage::Score as usize].observe(micros(scored - begun));
        let (record, lost) = match answer {
            Ok(record) => (record, false),
            Err(Silence::Refused(code, text)) => {
                self.metrics().refused.add(1);
                return Outcome::Refused(code, text);
            }
            Err(Silence::Lost(reason, text)) => {
                self.lost(reason, &text, asked);
                (active.fallback.record(asked.json, reason).into(), true)
            }
        };
        self.metrics().decided(&record);
        self.log(asked, Some(&active), &record, lost, scored);
        Outcome::Decided(record)
    }

    fn without_bundle(&self, asked: &Asked<'_>) -> Outcome {
        let Some(fallback) = &self.shared.without_bundle else { return Outcome::NotReady };
        let record = Bytes::from(fallback.record(asked.json, Reason::NoBundle));
        self.metrics().fallbacks[Reason::NoBundle as usize].add(1);
        self.metrics().decided(&record);
        self.log(asked, None, &record, true, Instant::now());
        Outcome::Decided(record)
    }

    /// Calls the guest of this worker.
    pub(super) fn guest<T>(
        &self,
        active: &Arc<Active>,
        call: impl FnOnce(&mut Instance, LoadedBundle) -> Result<T, ScoreError>,
    ) -> Result<T, Silence> {
        let mut guest = self.guest.borrow_mut();
        let made = guest.made;
        let answer = guest.call(active, call);
        self.metrics().restores.add(guest.made - made);
        answer
    }

    fn lost(&self, reason: Reason, text: &str, asked: &Asked<'_>) {
        self.metrics().fallbacks[reason as usize].add(1);
        match reason {
            Reason::Deadline => self.metrics().traps[1].add(1),
            _ => self.metrics().traps[0].add(1),
        }
        let correlation_id = asked.correlation.id.to_str().unwrap_or_default();
        tracing::warn!(code = "GUEST_LOST", reason = reason.name(), correlation_id, "the fallback answered: {text}");
    }

    fn must_refuse(&self, input_bytes: usize) -> bool {
        let Some(lane) = &self.lane else { return false };
        self.shared.settings.log.when_full != WhenFull::Drop
            && !lane.has_room(input_bytes + RECORD_BYTES + ENVELOPE_BYTES)
    }

    /// Whether the log has room, or need not have.
    pub(super) fn log_has_room(&self, input_bytes: usize) -> bool {
        !self.must_refuse(input_bytes)
    }

    fn log(&self, asked: &Asked<'_>, active: Option<&Active>, record: &[u8], lost: bool, scored: Instant) {
        let (Some(lane), Some(writer)) = (&self.lane, &self.writer) else { return };
        let size = record.len() + asked.json.len() + ENVELOPE_BYTES;
        lane.push(writer, size, |out| self.write_entry(asked, active, record, lost, scored, out));
        self.metrics().stages[Stage::Log as usize].observe(micros(scored.elapsed()));
    }

    fn write_entry(
        &self,
        asked: &Asked<'_>,
        active: Option<&Active>,
        record: &[u8],
        lost: bool,
        scored: Instant,
        out: &mut Vec<u8>,
    ) {
        let Correlation { id, trace } = asked.correlation;
        let (time, endpoint) = (now_ms(), asked.endpoint.name());
        let took = micros(scored - asked.arrived);
        let _ = write!(out, r#"{{"time_ms":{time},"endpoint":"{endpoint}","latency_us":{took},"correlation_id":""#);
        out.extend_from_slice(id.as_bytes());
        match trace {
            Some(trace) => {
                let _ = write!(out, r#"","trace_id":"{}","record":"#, trace.id());
            }
            None => out.extend_from_slice(br#"","trace_id":null,"record":"#),
        }
        out.extend_from_slice(record);
        out.extend_from_slice(br#","input":"#);
        match active.filter(|_| self.shared.settings.log.input) {
            // What the guest never read through need not be JSON, nor its fields known.
            Some(active) => {
                let known = !lost && super::record::knows_all(record);
                active.masks.write(asked.json, known, self.shared.hash_key.as_ref(), out);
            }
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }
}

pub(super) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

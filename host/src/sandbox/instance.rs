//! One instance of the module: typed calls over its C ABI.

use super::calls::Calls;
use super::compact::{COMPACT_BYTES, Compact};
use super::deadline::{self, Held};
use super::error::{ScoreError, lost, outside};
use super::snapshot::{PAGE_BYTES, Snapshot, WASM_PAGE_BYTES};
use super::{Bounds, failed};
use crate::failure::{Failure, Result};
use tollgate_scorer::Code;
use wasmtime::{Memory, Store, TypedFunc};

/// Rows that one call predicts at most, so that no call runs into its deadline.
const PREDICT_ROWS: usize = 4096;
/// Rows that one call explains at most, likewise.
const EXPLAIN_ROWS: usize = 16;
/// Room for arguments that an instance starts with.
const ARENA_BYTES: usize = 16 << 10;

/// A running instance of `tollgate.wasm`.
pub struct Instance {
    store: Store<Held>,
    memory: Memory,
    calls: Calls,
    bounds: Bounds,
    /// Guest memory that calls lay their arguments in; grows with the largest call.
    arena: Block,
}

/// A bundle that an instance holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedBundle(u32);

impl Instance {
    pub(super) fn new(mut store: Store<Held>, instance: &wasmtime::Instance, bounds: Bounds) -> Result<Self> {
        let missing = || Failure::refused("SANDBOX", "the module exports no memory");
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(missing)?;
        let calls = Calls::find(&mut store, instance).map_err(failed)?;
        Ok(Self { store, memory, calls, bounds, arena: Block::default() })
    }

    /// Verifies and activates a bundle inside the sandbox.
    ///
    /// # Errors
    /// The module's code, or `Lost`.
    pub fn load(
        &mut self,
        bundle: &[u8],
        keys: &[[u8; 32]],
        digest: Option<[u8; 32]>,
        now_ms: Option<u64>,
    ) -> Result<LoadedBundle, ScoreError> {
        deadline::begin(&mut self.store, self.bounds.load_ms);
        let bundle = self.put(bundle)?;
        let keys = self.put(&keys.concat())?;
        let digest = digest.map(|digest| self.put(&digest)).transpose()?.unwrap_or_default();
        let arguments = (bundle.at, bundle.bytes, keys.at, keys.bytes, digest.at, now_ms.unwrap_or(0));
        let status = self.calls.load.call(&mut self.store, arguments);
        let loaded = self.status(status);
        [bundle, keys, digest].into_iter().try_for_each(|block| self.free(block))?;
        loaded.map(LoadedBundle)
    }

    /// Frees a bundle.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn unload(&mut self, bundle: LoadedBundle) -> Result<(), ScoreError> {
        self.deadline();
        let status = self.calls.unload.call(&mut self.store, bundle.0);
        self.status(status).map(|_| ())
    }

    /// Describes a bundle as JSON.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn describe(&mut self, bundle: LoadedBundle) -> Result<String, ScoreError> {
        self.deadline();
        let status = self.calls.describe.call(&mut self.store, bundle.0);
        self.status(status)?;
        self.output()
    }

    /// Decides a JSON request; returns the decision record.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn score_json(&mut self, bundle: LoadedBundle, json: &[u8]) -> Result<String, ScoreError> {
        self.on_json(bundle, json, |calls| &calls.score_json)
    }

    /// As [`Instance::score_json`], but shows the record where it lies: valid until the
    /// next call, and not checked to be UTF-8.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn score_json_in_place(&mut self, bundle: LoadedBundle, json: &[u8]) -> Result<&[u8], ScoreError> {
        self.call_json(bundle, json, |calls| &calls.score_json)?;
        self.output_in_place()
    }

    /// Decides a JSON request; returns the explanation, with the decision record in it.
    ///
    /// # Errors
    /// As for [`Instance::load`]; `MODEL` for a model that cannot be explained.
    pub fn explain_json(&mut self, bundle: LoadedBundle, json: &[u8]) -> Result<String, ScoreError> {
        self.on_json(bundle, json, |calls| &calls.explain_json)
    }

    fn on_json(
        &mut self,
        bundle: LoadedBundle,
        json: &[u8],
        call: impl Fn(&Calls) -> &TypedFunc<(u32, u32, u32), i32>,
    ) -> Result<String, ScoreError> {
        self.call_json(bundle, json, call)?;
        self.output()
    }

    fn call_json(
        &mut self,
        bundle: LoadedBundle,
        json: &[u8],
        call: impl Fn(&Calls) -> &TypedFunc<(u32, u32, u32), i32>,
    ) -> Result<(), ScoreError> {
        self.deadline();
        let [request] = self.lay_out([json.len()])?;
        self.write(request, json)?;
        let status = call(&self.calls).call(&mut self.store, (bundle.0, request.at, request.bytes));
        self.status(status).map(|_| ())
    }

    /// Decides one typed row: values in schema order, a tag each or none at all.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn score_row(&mut self, bundle: LoadedBundle, row: &[f64], tags: Option<&[u8]>) -> Result<Compact, ScoreError> {
        self.deadline();
        let [values, result, tagged] = self.lay_out([row.len() * 8, COMPACT_BYTES, tags.map_or(0, <[u8]>::len)])?;
        self.write_doubles(values, row)?;
        self.write(tagged, tags.unwrap_or_default())?;
        let tagged = tags.map_or(0, |_| tagged.at);
        let arguments = (bundle.0, values.at, tagged, row.len() as u32, result.at);
        let status = self.calls.score_row.call(&mut self.store, arguments);
        self.status(status)?;
        self.view(result).map(Compact::read)
    }

    /// Decides many full rows in one call.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn score_batch(
        &mut self,
        bundle: LoadedBundle,
        values: &[f64],
        rows: usize,
    ) -> Result<Vec<Compact>, ScoreError> {
        self.deadline();
        let [block, results] = self.lay_out([values.len() * 8, rows * COMPACT_BYTES])?;
        self.write_doubles(block, values)?;
        let arguments = (bundle.0, block.at, 0, rows as u32, results.at);
        let status = self.calls.score_batch.call(&mut self.store, arguments);
        self.status(status)?;
        Ok(self.view(results)?.chunks(COMPACT_BYTES).map(Compact::read).collect())
    }

    /// The record of the last typed row.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn record(&mut self, bundle: LoadedBundle) -> Result<String, ScoreError> {
        self.deadline();
        let status = self.calls.record.call(&mut self.store, bundle.0);
        self.status(status)?;
        self.output()
    }

    /// The model's outputs for rows of `width` values, `outputs` numbers a row.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn predict(
        &mut self,
        bundle: LoadedBundle,
        rows: &[f64],
        width: usize,
        outputs: usize,
        response: bool,
    ) -> Result<Vec<f64>, ScoreError> {
        self.by_chunks(rows, width, outputs, PREDICT_ROWS, |calls, store, values, count, results| {
            calls.predict.call(store, (bundle.0, values, count, u32::from(response), results))
        })
    }

    /// What each of `width` values contributes to each output of a row, and behind an
    /// output's contributions what it is on average.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn contributions(
        &mut self,
        bundle: LoadedBundle,
        rows: &[f64],
        width: usize,
        outputs: usize,
    ) -> Result<Vec<f64>, ScoreError> {
        let per_row = outputs * (width + 1);
        self.by_chunks(rows, width, per_row, EXPLAIN_ROWS, |calls, store, values, count, results| {
            calls.contributions.call(store, (bundle.0, values, count, results))
        })
    }

    /// Calls with so many rows at a time that none runs into its deadline.
    fn by_chunks(
        &mut self,
        rows: &[f64],
        width: usize,
        per_row: usize,
        chunk_rows: usize,
        call: impl Fn(&Calls, &mut Store<Held>, u32, u32, u32) -> wasmtime::Result<i32>,
    ) -> Result<Vec<f64>, ScoreError> {
        let mut all = Vec::with_capacity(rows.len() / width.max(1) * per_row);
        for chunk in rows.chunks(width.max(1) * chunk_rows) {
            self.deadline();
            let count = chunk.len() / width.max(1);
            let [values, results] = self.lay_out([chunk.len() * 8, count * per_row * 8])?;
            self.write_doubles(values, chunk)?;
            let status = call(&self.calls, &mut self.store, values.at, count as u32, results.at);
            self.status(status)?;
            all.extend(self.view(results)?.as_chunks::<8>().0.iter().map(|number| f64::from_le_bytes(*number)));
        }
        Ok(all)
    }

    /// Takes an `onnx/1` model part that is in no bundle yet; returns its raw scores per row.
    /// Errors as for [`Instance::load`]; `MISUSE` when this is not the ONNX module.
    pub(super) fn take_graph(&mut self, part: &[u8]) -> Result<usize, ScoreError> {
        deadline::begin(&mut self.store, self.bounds.load_ms);
        let block = self.put(part)?;
        let graph = self.calls.graph.clone().ok_or_else(not_onnx)?;
        let status = graph.call(&mut self.store, (block.at, block.bytes));
        let outputs = self.status(status)? as usize;
        self.free(block).map(|()| outputs)
    }

    /// Raw scores of a row by the part taken last; errors as for [`Instance::take_graph`].
    pub(super) fn graph_raw(&mut self, row: &[f64], outputs: usize) -> Result<Vec<f64>, ScoreError> {
        let raw = self.calls.graph_raw.clone().ok_or_else(not_onnx)?;
        self.by_chunks(row, row.len(), outputs, PREDICT_ROWS, |_, store, values, count, results| {
            raw.call(store, (values, count, row.len() as u32, results, count * outputs as u32))
        })
    }

    /// Verifies one Ed25519 signature inside the sandbox.
    ///
    /// # Errors
    /// As for [`Instance::load`].
    pub fn ed25519_verify(&mut self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<bool, ScoreError> {
        self.deadline();
        let [at_key, at_signature, at_message] = self.lay_out([32, 64, message.len()])?;
        self.write(at_key, key)?;
        self.write(at_signature, signature)?;
        self.write(at_message, message)?;
        let arguments = (at_key.at, at_message.at, at_message.bytes, at_signature.at);
        let status = self.calls.ed25519_verify.call(&mut self.store, arguments);
        Ok(self.status(status)? == 1)
    }

    /// Bytes of memory that the guest has grown to.
    pub fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// The guest's memory, for tests that play a hostile host.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    /// The pages that differ from those of a fresh instance.
    pub(super) fn pages_beside(&self, fresh: &Self) -> Vec<(usize, Box<[u8]>)> {
        let (own, fresh) = (self.memory.data(&self.store), fresh.memory.data(&fresh.store));
        let is_new = |(index, page): &(usize, &[u8])| match fresh.get(index * PAGE_BYTES..(index + 1) * PAGE_BYTES) {
            Some(other) => *page != other,
            None => page.iter().any(|byte| *byte != 0),
        };
        own.chunks(PAGE_BYTES).enumerate().filter(is_new).map(|(at, page)| (at * PAGE_BYTES, page.into())).collect()
    }

    /// Makes a fresh instance's memory that of a snapshot.
    pub(super) fn fill(&mut self, snapshot: &Snapshot) -> Result<(), ScoreError> {
        deadline::begin(&mut self.store, self.bounds.load_ms);
        let missing = snapshot.memory_bytes.saturating_sub(self.memory_bytes());
        self.memory.grow(&mut self.store, missing.div_ceil(WASM_PAGE_BYTES) as u64).map_err(lost)?;
        let memory = self.memory.data_mut(&mut self.store);
        for (at, page) in &snapshot.pages {
            memory.get_mut(*at..*at + page.len()).ok_or_else(outside)?.copy_from_slice(page);
        }
        self.arena = snapshot.arena;
        Ok(())
    }

    pub(super) fn arena(&self) -> Block {
        self.arena
    }

    fn deadline(&mut self) {
        deadline::begin(&mut self.store, self.bounds.call_ms);
    }

    fn status(&mut self, status: wasmtime::Result<i32>) -> Result<u32, ScoreError> {
        let status = status.map_err(lost)?;
        if let Ok(value) = u32::try_from(status) {
            return Ok(value);
        }
        let text = self.output()?;
        let code = Code::from_number(status.wrapping_neg());
        code.map_or_else(|| Err(ScoreError::Lost(text.clone())), |code| Err(ScoreError::Refused(code, text.clone())))
    }

    fn output(&mut self) -> Result<String, ScoreError> {
        let text = self.output_in_place()?.to_vec();
        String::from_utf8(text).map_err(|error| ScoreError::Lost(error.to_string()))
    }

    fn output_in_place(&mut self) -> Result<&[u8], ScoreError> {
        let at = self.calls.output.call(&mut self.store, ()).map_err(lost)?;
        let bytes = self.calls.output_bytes.call(&mut self.store, ()).map_err(lost)?;
        self.view(Block { at, bytes })
    }

    /// Memory of its own for what is large and rare: bundles.
    fn put(&mut self, bytes: &[u8]) -> Result<Block, ScoreError> {
        let block = self.reserve(bytes.len())?;
        self.write(block, bytes)?;
        Ok(block)
    }

    fn reserve(&mut self, bytes: usize) -> Result<Block, ScoreError> {
        let refused = || ScoreError::Refused(Code::Limit, "LIMIT: the sandbox has no memory for the input".into());
        let bytes = u32::try_from(bytes).map_err(|_| refused())?;
        let at = self.calls.alloc.call(&mut self.store, bytes).map_err(lost)?;
        if at == 0 { Err(refused()) } else { Ok(Block { at, bytes }) }
    }

    /// Places for the arguments of one call, side by side in the arena.
    fn lay_out<const N: usize>(&mut self, lengths: [usize; N]) -> Result<[Block; N], ScoreError> {
        let total: usize = lengths.iter().map(|length| length.next_multiple_of(8)).sum();
        // Even nothing needs an address, which is never 0.
        if self.arena.at == 0 || total > self.arena.bytes as usize {
            let old = std::mem::take(&mut self.arena);
            self.free(old)?;
            self.arena = self.reserve(total.max(ARENA_BYTES))?;
        }
        let mut at = self.arena.at;
        Ok(lengths.map(|length| {
            let block = Block { at, bytes: length as u32 };
            at += length.next_multiple_of(8) as u32;
            block
        }))
    }

    fn write(&mut self, block: Block, bytes: &[u8]) -> Result<(), ScoreError> {
        self.memory
            .write(&mut self.store, block.at as usize, bytes)
            .map_err(|error| ScoreError::Lost(error.to_string()))
    }

    fn write_doubles(&mut self, block: Block, numbers: &[f64]) -> Result<(), ScoreError> {
        let start = block.at as usize;
        let memory = self.memory.data_mut(&mut self.store).get_mut(start..start + numbers.len() * 8);
        let (places, _) = memory.ok_or_else(outside)?.as_chunks_mut::<8>();
        places.iter_mut().zip(numbers).for_each(|(place, number)| *place = number.to_le_bytes());
        Ok(())
    }

    fn view(&self, block: Block) -> Result<&[u8], ScoreError> {
        let start = block.at as usize;
        self.memory.data(&self.store).get(start..start + block.bytes as usize).ok_or_else(outside)
    }

    fn free(&mut self, block: Block) -> Result<(), ScoreError> {
        if block.at == 0 {
            return Ok(());
        }
        self.calls.free.call(&mut self.store, (block.at, block.bytes)).map_err(lost)
    }
}

fn not_onnx() -> ScoreError {
    ScoreError::Refused(Code::Misuse, "MISUSE: this module runs no ONNX graphs".into())
}

/// A piece of guest memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    at: u32,
    bytes: u32,
}

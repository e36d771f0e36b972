//! The calls that an embedder makes. The only unsafe code of the guest.
//!
//! Pointers are offsets into the module's memory. The host asks for memory with
//! `tg_alloc`, writes there, and passes offset and length; each call reads its
//! arguments within their lengths and keeps no reference when it returns. A wasm
//! instance has one thread, so the state is reached without a lock.

#![allow(unsafe_code)]

use crate::state::{Instance, View};
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::fmt::Write;
use tollgate_scorer::{ABI_VERSION, Code, Compact, Error, Result, limits, one_nan};

/// Bytes of one compact result.
const COMPACT_BYTES: u64 = size_of::<Compact>() as u64;

/// The instance's state behind a cell.
struct Global(UnsafeCell<Instance>);

// SAFETY: a wasm instance without shared memory has one thread, and no call re-enters.
unsafe impl Sync for Global {}

static INSTANCE: Global = Global(UnsafeCell::new(Instance::new()));

/// The version of these calls.
#[unsafe(no_mangle)]
pub extern "C" fn tg_abi_version() -> u32 {
    ABI_VERSION
}

/// Memory for the host to write to, aligned to 8; 0 when it is refused.
#[unsafe(no_mangle)]
pub extern "C" fn tg_alloc(bytes: u32) -> u32 {
    let mut words = Vec::<u64>::new();
    if words.try_reserve_exact(word_count(bytes)).is_err() {
        return 0;
    }
    words.leak_start()
}

/// Gives memory back that `tg_alloc` returned for the same number of bytes.
///
/// # Safety
/// `pointer` came from `tg_alloc(bytes)` and was not freed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_free(pointer: u32, bytes: u32) {
    if pointer != 0 && word_count(bytes) != 0 {
        // SAFETY: by the contract, a Vec<u64> of exactly this capacity was leaked here.
        drop(unsafe { Vec::from_raw_parts(pointer as *mut u64, 0, word_count(bytes)) });
    }
}

/// Verifies and activates a bundle; returns its handle (1 to 8) or minus an error code.
///
/// `keys` is 32 bytes a trusted key. `digest` is 0 or the offset of the 32 bytes of the
/// bundle that is meant. `now_ms` is 0 where there is no clock.
///
/// # Safety
/// Offsets and lengths describe memory that the host may pass.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_load(
    bundle: u32,
    bundle_bytes: u32,
    keys: u32,
    keys_bytes: u32,
    digest: u32,
    now_ms: u64,
) -> i32 {
    call(|instance| {
        // SAFETY: by the contract.
        let (file, keys) = unsafe { (bytes(bundle, bundle_bytes)?, bytes(keys, keys_bytes)?) };
        let digest = match digest {
            0 => None,
            // SAFETY: by the contract.
            offset => unsafe { bytes(offset, 32)? }.try_into().ok(),
        };
        instance.load(file, keys, digest, now_ms).map(|handle| handle as i32)
    })
}

/// Frees a bundle.
#[unsafe(no_mangle)]
pub extern "C" fn tg_unload(handle: u32) -> i32 {
    call(|instance| instance.unload(handle as usize).map(|()| 0))
}

/// Describes a bundle as JSON in the output; returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn tg_describe(handle: u32) -> i32 {
    call(|instance| instance.describe(handle as usize).map(|()| 0))
}

/// Decides one row of `count` f64 values in schema order, with one tag byte each, or
/// `tags` 0; writes 64 bytes to `result`; returns the action 0, 1 or 2.
///
/// # Safety
/// Offsets describe memory that the host may pass; `result` has room for 64 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_score_row(handle: u32, values: u32, tags: u32, count: u32, result: u32) -> i32 {
    call(|instance| {
        // SAFETY: by the contract.
        let (values, tags) = unsafe { (doubles(values, count)?, optional(tags, count)?) };
        check(result, COMPACT_BYTES, 1)?;
        let compact = instance.score_row(handle as usize, values, tags)?;
        // SAFETY: checked above, and the host's own by the contract.
        unsafe { write_compact(result, 0, compact) };
        Ok(i32::from(compact[0]))
    })
}

/// Decides `rows` full rows; writes 64 bytes each to `results`; returns 0.
///
/// # Safety
/// Offsets describe memory that the host may pass; `results` has room for all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_score_batch(handle: u32, values: u32, tags: u32, rows: u32, results: u32) -> i32 {
    call(|instance| {
        let (width, ..) = instance.shape(handle as usize)?;
        let count = batch(rows, width)?;
        // SAFETY: by the contract.
        let (values, tags) = unsafe { (doubles(values, count)?, optional(tags, count)?) };
        check(results, u64::from(rows) * COMPACT_BYTES, 1)?;
        let mut index = 0;
        instance.score_batch(handle as usize, values, tags, rows as usize, |compact| {
            // SAFETY: checked above, and the host's own by the contract.
            unsafe { write_compact(results, index, compact) };
            index += 1;
        })?;
        Ok(0)
    })
}

/// Writes the record of the last row that `tg_score_row` decided to the output.
#[unsafe(no_mangle)]
pub extern "C" fn tg_record(handle: u32) -> i32 {
    call(|instance| instance.record(handle as usize).map(|()| 0))
}

/// Decides a JSON request; the decision record is the output; returns 0.
///
/// # Safety
/// Offset and length describe memory that the host may pass.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_score_json(handle: u32, json: u32, json_bytes: u32) -> i32 {
    call(|instance| {
        // SAFETY: by the contract.
        let json = unsafe { bytes(json, json_bytes)? };
        instance.score_json(handle as usize, json).map(|()| 0)
    })
}

/// Decides a JSON request and explains its margin; the explanation, with the decision record
/// in it, is the output; returns 0.
///
/// # Safety
/// Offset and length describe memory that the host may pass.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_explain_json(handle: u32, json: u32, json_bytes: u32) -> i32 {
    call(|instance| {
        // SAFETY: by the contract.
        let json = unsafe { bytes(json, json_bytes)? };
        instance.explain_json(handle as usize, json).map(|()| 0)
    })
}

/// The model's own outputs for rows of scored features: raw scores, or with `response`
/// not 0 what the trainer's `predict` gives. NaN is missing. Writes `rows` times the
/// number of outputs as f64 to `results`; returns that number of outputs.
///
/// # Safety
/// Offsets describe memory that the host may pass; `results` has room for all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_predict(handle: u32, values: u32, rows: u32, response: u32, results: u32) -> i32 {
    let view = View::Predictions { response: response != 0, columns: false };
    // SAFETY: by the contract.
    call(|instance| unsafe { view_rows(instance, handle as usize, view, values, rows, results) })
}

/// As `tg_predict`, for values that lie column by column: all values of the first scored
/// feature, then those of the second. Results lie row by row.
///
/// # Safety
/// Offsets describe memory that the host may pass; `results` has room for all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_predict_columns(handle: u32, values: u32, rows: u32, response: u32, results: u32) -> i32 {
    let view = View::Predictions { response: response != 0, columns: true };
    // SAFETY: by the contract.
    call(|instance| unsafe { view_rows(instance, handle as usize, view, values, rows, results) })
}

/// Why rows of scored features have their raw scores. Writes per row and output each scored
/// feature's contribution, then the expectation, as f64 to `results`; returns the numbers
/// per row.
///
/// # Safety
/// Offsets describe memory that the host may pass; `results` has room for all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_contributions(handle: u32, values: u32, rows: u32, results: u32) -> i32 {
    // SAFETY: by the contract.
    call(|instance| unsafe { view_rows(instance, handle as usize, View::Contributions, values, rows, results) })
}

/// For authors of bundles: takes an `onnx/1` model part that is in no bundle yet; returns its
/// raw scores per row. Only in `tollgate-onnx.wasm`, as the next one.
///
/// # Safety
/// Offsets describe memory that the host may pass.
#[cfg(feature = "onnx")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_graph(part: u32, part_bytes: u32) -> i32 {
    // SAFETY: by the contract.
    call(|instance| Ok(instance.take_graph(unsafe { bytes(part, part_bytes)? })? as i32))
}

/// Raw scores by the part that [`tg_graph`] took, as f64 to `results`, which has room for
/// `numbers` of them.
///
/// # Safety
/// Offsets describe memory that the host may pass.
#[cfg(feature = "onnx")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_graph_raw(values: u32, rows: u32, width: u32, results: u32, numbers: u32) -> i32 {
    call(|instance| {
        // SAFETY: by the contract.
        let values = unsafe { doubles(values, batch(rows, width as usize)?)? };
        let found = instance.graph_raw(values, rows as usize)?;
        check(results, u64::from(numbers) * 8, 8)?;
        for (at, number) in found.into_iter().take(numbers as usize).enumerate() {
            // SAFETY: checked above, and the host's own by the contract.
            unsafe { (results as usize as *mut f64).add(at).write(one_nan(number)) };
        }
        Ok(0)
    })
}

/// Verifies one Ed25519 signature as strictly as bundles are: 1 valid, 0 not. For
/// published test vectors; `key` is 32 bytes, `signature` 64.
///
/// # Safety
/// Offsets and lengths describe memory that the host may pass.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_ed25519_verify(key: u32, message: u32, message_bytes: u32, signature: u32) -> i32 {
    call(|_| {
        // SAFETY: by the contract.
        let (key, message, signature) =
            unsafe { (bytes(key, 32)?, bytes(message, message_bytes)?, bytes(signature, 64)?) };
        let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return Ok(0) };
        let key = tollgate_scorer::trust::TrustedKey::parse(key);
        Ok(key.is_ok_and(|key| key.verifies(message, signature)).into())
    })
}

/// Offset of the last output: record, description, or the text of the last error.
#[unsafe(no_mangle)]
pub extern "C" fn tg_output() -> u32 {
    // SAFETY: one thread, and no reference outlives this line.
    let instance = unsafe { &*INSTANCE.0.get() };
    instance.output.as_ptr() as u32
}

/// Length of the last output in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn tg_output_bytes() -> u32 {
    // SAFETY: one thread, and no reference outlives this line.
    let instance = unsafe { &*INSTANCE.0.get() };
    instance.output.len() as u32
}

#[cfg(feature = "onnx")]
unsafe extern "C" {
    /// Enters tract's operators and kernels in their lists. The linker's own function: where
    /// nobody names it, the linker has every exported function call it anew each time.
    fn __wasm_call_ctors();
}

/// Runs a call; an error leaves its text as the output and comes back as minus its code.
fn call(run: impl FnOnce(&mut Instance) -> Result<i32>) -> i32 {
    // SAFETY: one thread, and no call re-enters another.
    let instance = unsafe { &mut *INSTANCE.0.get() };
    #[cfg(feature = "onnx")]
    if !core::mem::replace(&mut instance.started, true) {
        // SAFETY: once, before anything of tract runs.
        unsafe { __wasm_call_ctors() }
    }
    run(instance).unwrap_or_else(|error: Error| {
        instance.output.clear();
        let _ = write!(instance.output, "{error}");
        #[cfg(feature = "onnx")]
        instance.output.push_str(&core::mem::take(&mut instance.why));
        -(error.code as i32)
    })
}

/// # Safety
/// Offsets describe memory that the host may pass; `results` has room for all.
unsafe fn view_rows(
    instance: &mut Instance,
    handle: usize,
    view: View,
    values: u32,
    rows: u32,
    results: u32,
) -> Result<i32> {
    let (_, width, outputs) = instance.shape(handle)?;
    let per_row = if view == View::Contributions { outputs * (width + 1) } else { outputs };
    let count = batch(rows, width)?;
    // SAFETY: by the caller.
    let values = unsafe { doubles(values, count)? };
    check(results, u64::from(rows) * per_row as u64 * 8, 1)?;
    let mut target = results as usize as *mut f64;
    instance.view(handle, view, values, rows as usize, |numbers| {
        for number in numbers {
            // SAFETY: checked above, and the host's own by the caller.
            unsafe {
                target.write_unaligned(one_nan(*number));
                target = target.add(1);
            }
        }
    })?;
    Ok(per_row as i32)
}

/// Values in a batch, bounded.
fn batch(rows: u32, width: usize) -> Result<u32> {
    let count = (rows as usize).checked_mul(width).and_then(|count| u32::try_from(count).ok());
    let bounded = count.filter(|_| rows as usize <= limits::BATCH_ROWS);
    bounded.ok_or(Error::new(Code::Limit, "batch: more rows than one call may carry"))
}

/// # Safety
/// The memory may be read for as long as the call lasts.
unsafe fn bytes<'a>(offset: u32, length: u32) -> Result<&'a [u8]> {
    check(offset, u64::from(length), 1)?;
    // SAFETY: within memory, not null; the host does not write during a call.
    Ok(unsafe { core::slice::from_raw_parts(offset as *const u8, length as usize) })
}

/// # Safety
/// As [`bytes`].
unsafe fn optional<'a>(offset: u32, length: u32) -> Result<Option<&'a [u8]>> {
    // SAFETY: by the caller.
    if offset == 0 { Ok(None) } else { unsafe { bytes(offset, length) }.map(Some) }
}

/// # Safety
/// As [`bytes`].
unsafe fn doubles<'a>(offset: u32, count: u32) -> Result<&'a [f64]> {
    check(offset, u64::from(count) * 8, 8)?;
    // SAFETY: within memory, not null, aligned; the host does not write during a call.
    Ok(unsafe { core::slice::from_raw_parts(offset as *const f64, count as usize) })
}

/// # Safety
/// `results` has room for `index + 1` results.
unsafe fn write_compact(results: u32, index: usize, compact: Compact) {
    // SAFETY: by the caller.
    unsafe { (results as usize as *mut Compact).add(index).write_unaligned(compact) };
}

/// A range must lie within the memory there is, not start at 0, and be aligned.
fn check(offset: u32, length: u64, align: u32) -> Result<()> {
    let memory = core::arch::wasm32::memory_size(0) as u64 * 65_536;
    let inside = offset != 0 && offset.is_multiple_of(align) && u64::from(offset) + length <= memory;
    if inside {
        Ok(())
    } else {
        Err(Error::new(Code::Misuse, "argument is 0, not aligned, or outside the module's memory"))
    }
}

fn word_count(bytes: u32) -> usize {
    (bytes as usize).div_ceil(8)
}

/// Leaks a vector's memory and returns its offset.
trait LeakStart {
    fn leak_start(self) -> u32;
}

impl LeakStart for Vec<u64> {
    fn leak_start(self) -> u32 {
        let mut words = core::mem::ManuallyDrop::new(self);
        words.as_mut_ptr() as u32
    }
}

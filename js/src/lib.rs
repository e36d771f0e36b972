//! The decision core for JavaScript.
//!
//! One instance of this module holds one bundle. JavaScript writes a value and a tag per
//! feature straight into the module's memory, calls [`decide`], and reads 64 bytes back;
//! what that means is the core's affair. Inputs of unusual shape come as names and values
//! ([`read`]) and end in the same cells, so every road is one road from there on. Errors are
//! the core's texts, `CODE: what is wrong`.

#![cfg(target_arch = "wasm32")]

mod session;

use session::{Event, Session};
use std::cell::RefCell;
use tollgate_scorer::Error;
use wasm_bindgen::prelude::*;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Verifies and activates a bundle; returns its description as JSON.
///
/// `keys` is 32 bytes a trusted key, `digest` the 32 bytes of the only bundle that is wanted,
/// `now_ms` milliseconds since 1970 where there is a clock.
///
/// # Errors
/// The core's text.
#[wasm_bindgen]
pub fn load(bundle: &[u8], keys: &[u8], digest: Option<Vec<u8>>, now_ms: Option<f64>) -> Result<String, JsValue> {
    let session = Session::load(bundle, keys, digest.as_deref(), now_ms).map_err(text)?;
    let described = session.describe();
    SESSION.with(|place| *place.borrow_mut() = Some(session));
    Ok(described)
}

/// Makes room for so many rows; returns where values (f64), tags (u8) and results (64 bytes
/// a row, aligned to 8) lie. JavaScript writes the first two between calls.
///
/// # Errors
/// `LIMIT` when memory is refused, `MISUSE` before a bundle is loaded.
#[wasm_bindgen]
pub fn reserve(rows: usize) -> Result<Vec<u32>, JsValue> {
    with(|session| session.reserve(rows))
}

/// Decides the first rows of the cells, with their tags or without, and writes their results.
/// Returns how many rows were decided: fewer than `rows` only where fewer were reserved.
#[wasm_bindgen]
pub fn decide(rows: usize, tagged: bool) -> usize {
    hot(|session| session.decide(rows, tagged))
}

/// The model alone for the first row: writes its raw scores, or what the trainer's `predict`
/// gives, over the results, as f64; returns how many.
#[wasm_bindgen]
pub fn predict(response: bool) -> usize {
    hot(|session| session.predict(response).unwrap_or(0))
}

/// Reads values by feature name, and states as names in pairs, and makes their cells the
/// first row. Returns the names that the schema does not know.
///
/// # Errors
/// `REQUEST` for a state that there is not.
#[wasm_bindgen]
pub fn read(names: Vec<String>, values: Vec<JsValue>, states: Vec<String>) -> Result<Vec<String>, JsValue> {
    with(|session| session.read(&names, &values, &states))
}

/// The decision record of the first row, with its tags or without, or with `explained` the
/// explanation as JSON, with the record in it; `unknown` are names that the schema does not know.
///
/// # Errors
/// `REQUEST` for an id that is too long; `MODEL` for a model that cannot be explained.
#[wasm_bindgen]
pub fn record(
    id: Option<String>,
    correlation_id: Option<String>,
    time_ms: Option<f64>,
    counter: f64,
    unknown: Vec<String>,
    tagged: bool,
    explained: bool,
) -> Result<String, JsValue> {
    with(|session| session.record(Event { id, correlation_id, time_ms, counter, unknown }, tagged, explained))
}

fn with<T>(run: impl FnOnce(&mut Session) -> Result<T, Error>) -> Result<T, JsValue> {
    SESSION.with(|place| match place.borrow_mut().as_mut() {
        Some(session) => run(session).map_err(text),
        None => Err(JsValue::from_str("MISUSE: no bundle is loaded")),
    })
}

/// Without a `Result` the glue costs next to nothing; 0 stands for any misuse.
fn hot(run: impl FnOnce(&mut Session) -> usize) -> usize {
    SESSION.with(|place| place.borrow_mut().as_mut().map_or(0, run))
}

fn text(error: Error) -> JsValue {
    JsValue::from_str(&error.to_string())
}

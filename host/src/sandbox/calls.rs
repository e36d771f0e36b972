//! The calls of the C ABI, typed.

use super::deadline::Held;
use wasmtime::{Store, TypedFunc};

/// A call with five numbers that gives a status or an action.
type OfFive = TypedFunc<(u32, u32, u32, u32, u32), i32>;

/// What `tollgate.wasm` exports; see the ABI page.
pub(super) struct Calls {
    pub(super) alloc: TypedFunc<u32, u32>,
    pub(super) free: TypedFunc<(u32, u32), ()>,
    pub(super) load: TypedFunc<(u32, u32, u32, u32, u32, u64), i32>,
    pub(super) unload: TypedFunc<u32, i32>,
    pub(super) describe: TypedFunc<u32, i32>,
    pub(super) score_row: OfFive,
    pub(super) score_batch: OfFive,
    pub(super) record: TypedFunc<u32, i32>,
    pub(super) score_json: TypedFunc<(u32, u32, u32), i32>,
    pub(super) explain_json: TypedFunc<(u32, u32, u32), i32>,
    pub(super) predict: OfFive,
    pub(super) contributions: TypedFunc<(u32, u32, u32, u32), i32>,
    pub(super) ed25519_verify: TypedFunc<(u32, u32, u32, u32), i32>,
    /// In the ONNX module alone.
    pub(super) graph: Option<TypedFunc<(u32, u32), i32>>,
    pub(super) graph_raw: Option<OfFive>,
    pub(super) output: TypedFunc<(), u32>,
    pub(super) output_bytes: TypedFunc<(), u32>,
}

impl Calls {
    pub(super) fn find(store: &mut Store<Held>, instance: &wasmtime::Instance) -> wasmtime::Result<Self> {
        Ok(Self {
            alloc: instance.get_typed_func(&mut *store, "tg_alloc")?,
            free: instance.get_typed_func(&mut *store, "tg_free")?,
            load: instance.get_typed_func(&mut *store, "tg_load")?,
            unload: instance.get_typed_func(&mut *store, "tg_unload")?,
            describe: instance.get_typed_func(&mut *store, "tg_describe")?,
            score_row: instance.get_typed_func(&mut *store, "tg_score_row")?,
            score_batch: instance.get_typed_func(&mut *store, "tg_score_batch")?,
            record: instance.get_typed_func(&mut *store, "tg_record")?,
            score_json: instance.get_typed_func(&mut *store, "tg_score_json")?,
            explain_json: instance.get_typed_func(&mut *store, "tg_explain_json")?,
            predict: instance.get_typed_func(&mut *store, "tg_predict")?,
            contributions: instance.get_typed_func(&mut *store, "tg_contributions")?,
            ed25519_verify: instance.get_typed_func(&mut *store, "tg_ed25519_verify")?,
            graph: instance.get_typed_func(&mut *store, "tg_graph").ok(),
            graph_raw: instance.get_typed_func(&mut *store, "tg_graph_raw").ok(),
            output: instance.get_typed_func(&mut *store, "tg_output")?,
            output_bytes: instance.get_typed_func(&mut *store, "tg_output_bytes")?,
        })
    }
}

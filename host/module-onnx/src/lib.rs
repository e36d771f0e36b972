//! The bytes of `tollgate-onnx.wasm`, compiled from `scorer/wasm` with its feature `onnx`.

/// The module: the same calls as `tollgate.wasm`, and tract for ONNX graphs.
pub const TOLLGATE_ONNX_WASM: &[u8] = include_bytes!(env!("TOLLGATE_WASM"));

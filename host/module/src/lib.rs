//! The bytes of `tollgate.wasm`, compiled from `scorer/wasm` by this crate's build.

/// The module: zero imports, the C ABI of `scorer/wasm/README.md`.
pub const TOLLGATE_WASM: &[u8] = include_bytes!(env!("TOLLGATE_WASM"));

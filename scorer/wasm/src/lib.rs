//! `tollgate.wasm`: the decision core behind a C ABI, without a single import.
//!
//! `README.md` beside this crate is the ABI's page. Two files: `abi.rs` reads and
//! writes guest memory and holds all unsafe code; `state.rs` holds what is loaded. With the
//! feature `onnx` it is `tollgate-onnx.wasm`, which runs ONNX graphs too.

#![no_std]
#![cfg(target_arch = "wasm32")]

extern crate alloc;

mod abi;
mod state;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// A panic is a bug of this module; it ends in a trap that the host recovers from. With
/// tract comes the standard library, whose panics end the same way.
#[cfg(not(feature = "onnx"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

//! Writes `tollgate-onnx.wasm` to the path that is its argument.

use std::process::ExitCode;
use tollgate_module_onnx::TOLLGATE_ONNX_WASM;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: tollgate-module-onnx FILE");
        return ExitCode::from(2);
    };
    match std::fs::write(&path, TOLLGATE_ONNX_WASM) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::from(4)
        }
    }
}

//! Compiles `tollgate-onnx.wasm`.

#[path = "../module/compile.rs"]
mod compile;

use compile::Flavour;

fn main() {
    compile::build(&Flavour {
        profile: "module-onnx",
        features: &["onnx"],
        sources: &["scorer/onnx"],
        // Whatever asks for randomness is told that there is none: the module imports nothing.
        flags: "\u{1f}--cfg\u{1f}getrandom_backend=\"unsupported\"",
        optimise: &["-Oz"],
    });
}

//! Compiles `tollgate.wasm`.

mod compile;

use compile::Flavour;

fn main() {
    compile::build(&Flavour {
        profile: "module",
        features: &[],
        sources: &[],
        flags: "",
        // Sixteen trees side by side want their functions inlined, but no further.
        optimise: &["-O3", "--one-caller-inline-max-function-size=20"],
    });
}

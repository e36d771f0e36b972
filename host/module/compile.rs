//! Compiles a flavour of `scorer/wasm` for wasm32 and, where `wasm-opt` is at hand, optimises
//! it. Shared by the build scripts of the crates that embed a module.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// What every runtime we name has; relaxed SIMD stays off: it differs between machines.
const FLAGS: &str = "-Ctarget-feature=+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint,+mutable-globals";
/// The same set for wasm-opt, named one by one so that it assumes nothing else.
const OPT_FLAGS: [&str; 7] = [
    // In the first KiB lies but the far end of the stack, which no sum of addresses wraps
    // around to: such sums may become offsets of loads and stores.
    "--low-memory-unused",
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--strip-producers",
];

/// What differs between the modules.
pub(crate) struct Flavour {
    /// The profile of cargo.
    pub(crate) profile: &'static str,
    /// Features of `scorer/wasm`.
    pub(crate) features: &'static [&'static str],
    /// Folders to watch, beside those of the core.
    pub(crate) sources: &'static [&'static str],
    /// More flags for the compiler, each behind a separator.
    pub(crate) flags: &'static str,
    /// How wasm-opt optimises.
    pub(crate) optimise: &'static [&'static str],
}

/// Builds the module and tells the crate where it is, by `TOLLGATE_WASM`.
pub(crate) fn build(flavour: &Flavour) {
    let root = Path::new(&var("CARGO_MANIFEST_DIR")).join("../..");
    let out = PathBuf::from(var("OUT_DIR"));
    let core = [
        "Cargo.toml",
        "scorer/src",
        "scorer/Cargo.toml",
        "scorer/kernel",
        "scorer/wasm/src",
        "scorer/wasm/Cargo.toml",
        "host/module/compile.rs",
        "Cargo.lock",
    ];
    for path in core.iter().chain(flavour.sources) {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo::rerun-if-env-changed=TOLLGATE_WASM_OPT");
    add_target();
    let built = compile(flavour, &root, &out);
    let module = out.join("tollgate.wasm");
    if !optimise(flavour, &built, &module) {
        println!("cargo::warning=wasm-opt not found: the module works, but is larger and slower");
        std::fs::copy(&built, &module).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    }
    println!("cargo::rustc-env=TOLLGATE_WASM={}", module.display());
}

/// Adds the wasm target where rustup is at hand and it is missing.
fn add_target() {
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let Ok(installed) = installed else { return };
    if !String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == TARGET) {
        let added = Command::new("rustup").args(["target", "add", TARGET]).status();
        assert!(added.is_ok_and(|status| status.success()), "run: rustup target add {TARGET}");
    }
}

fn compile(flavour: &Flavour, root: &Path, out: &Path) -> PathBuf {
    // A target folder of its own: the outer cargo holds the lock of the usual one.
    let target = out.join("wasm-target");
    let status = Command::new(var("CARGO"))
        .current_dir(root)
        .args(["build", "--locked", "--package", "tollgate-wasm", "--target", TARGET])
        .args(["--profile", flavour.profile, "--features", &flavour.features.join(",")])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", format!("{FLAGS}{}{}", flavour.flags, short_paths(root)))
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the module did not build");
    target.join(TARGET).join(flavour.profile).join("tollgate.wasm")
}

/// Panics name the files they stand in: without the paths of this machine the module is the
/// same wherever it is built, and smaller.
fn short_paths(root: &Path) -> String {
    let home = env::var("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|_| env::var("HOME").map(|home| Path::new(&home).join(".cargo")));
    let registry = home.ok().and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    let sources = registry.into_iter().flatten().flatten().map(|entry| entry.path());
    let roots = sources.chain(root.canonicalize().ok());
    roots.map(|root| format!("\u{1f}--remap-path-prefix={}=", root.display())).collect()
}

fn optimise(flavour: &Flavour, from: &Path, to: &Path) -> bool {
    let named = env::var_os("TOLLGATE_WASM_OPT").map(PathBuf::from);
    let tool = named.unwrap_or_else(|| PathBuf::from("wasm-opt"));
    let status = Command::new(tool).args(flavour.optimise).args(OPT_FLAGS).arg(from).arg("-o").arg(to).status();
    status.is_ok_and(|status| status.success())
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

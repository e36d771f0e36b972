//! What the sources and the module must keep, read from their text and bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tollgate_scorer::Code;
use tollgate_tests::{present, root};
use wasmparser::{ExternalKind, Parser, Payload};

/// Modules of the core from low to high; one may use only those of the lines above it.
const TIERS: [&[&str]; 9] = [
    &["limits", "math", "error", "action", "json"],
    &["cbor"],
    &["schema", "trust"],
    &["features", "model", "bundle"],
    &["calibrator", "request"],
    &["policy", "golden"],
    &["reasons"],
    &["decision"],
    &["scorer"],
];

const WORLD: [&str; 12] = [
    "std",
    "SystemTime",
    "Instant",
    "rand",
    "getrandom",
    "fs",
    "net",
    "thread",
    "wasm_bindgen",
    "println",
    "eprintln",
    "dbg",
];

/// Files below a folder with one of these endings, by their path from the root.
fn sources(folder: &str, endings: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut waiting: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let built = ["target", "node_modules", "pkg", "dist"].contains(&name.as_str()) || name.starts_with('.');
            if path.is_dir() && !built {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
                let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let from_root = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                found.insert(from_root, text);
            }
        }
    }
    found
}

fn core() -> BTreeMap<String, String> {
    let core = sources("scorer/src", &["rs"]);
    assert!(core.len() > 20, "the core's sources are there");
    core
}

fn everything() -> BTreeMap<String, String> {
    ["scorer", "host", "tests", "models", "js"].into_iter().flat_map(|folder| sources(folder, &["rs", "py"])).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of a Rust file without comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

/// Identifiers and keywords of a line.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Every place where the code of a file has one of these words.
fn mentions(files: &BTreeMap<String, String>, wanted: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (number, line) in code(text) {
            let hits = words(line).filter(|word| wanted.contains(word));
            found.extend(hits.map(|word| format!("{path}:{number}: {word}")));
        }
    }
    found
}

/// The module of the core that a file belongs to.
fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("scorer/src/").unwrap_or(path);
    inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

#[test]
fn the_core_depends_downwards() {
    let tier = |module: &str| TIERS.iter().position(|tier| tier.contains(&module));
    let mut wrong = Vec::new();
    for (path, text) in core() {
        let own = module_of(&path);
        if own == "lib" {
            continue;
        }
        let own_tier = tier(own).unwrap_or_else(|| panic!("{path}: give the module a place in TIERS"));
        let at_top = path.matches('/').count() == 2;
        for (number, line) in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used = words(used).next().unwrap_or_default();
                // Constants of lib.rs are free; its re-exports would hide the direction.
                let constant = used.chars().all(|c| c.is_ascii_uppercase() || c == '_');
                let below = tier(used).is_some_and(|used| used < own_tier);
                if !constant && !below && used != own {
                    wrong.push(format!("{path}:{number}: {own} uses {used}"));
                }
            }
            if at_top && line.contains("super::") && !line.contains("super::*") {
                wrong.push(format!("{path}:{number}: write crate:: and not super::"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let places: BTreeSet<&str> = TIERS.concat().into_iter().collect();
    let files = core();
    let there: BTreeSet<&str> = files.keys().map(|path| module_of(path)).filter(|module| *module != "lib").collect();
    assert_eq!(there, places, "TIERS names the modules there are");
}

#[test]
fn model_and_policy_do_not_know_each_other() {
    let of = |module: &str| -> BTreeMap<String, String> {
        core().into_iter().filter(|(path, _)| module_of(path) == module).collect()
    };
    assert_eq!(
        mentions(&of("model"), &["policy", "Policy", "CutOffs", "CostMatrix", "Action", "schema", "Schema"]),
        [""; 0]
    );
    assert_eq!(mentions(&of("policy"), &["model", "Model", "Margin", "Forest", "Linear"]), [""; 0]);
}

#[test]
fn the_core_is_pure() {
    let mut files = core();
    files.extend(sources("scorer/wasm/src", &["rs"]));
    assert_eq!(mentions(&files, &WORLD), [""; 0]);
    for path in ["scorer/src/lib.rs", "scorer/wasm/src/lib.rs"] {
        assert!(read(path).contains("#![no_std]"), "{path}");
    }
    assert!(read("scorer/src/lib.rs").contains(concat!("#![forbid(un", "safe_code)]")));
}

#[test]
fn only_the_abi_is_trusted_by_hand() {
    let files = everything().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect();
    let places = mentions(&files, &[concat!("un", "safe")]);
    let elsewhere: Vec<&String> = places.iter().filter(|place| !place.starts_with("scorer/wasm/src/abi.rs:")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    assert!(!places.is_empty(), "the search finds something");
}

#[test]
fn transcendental_functions_have_one_door() {
    const EXACT: [&str; 6] = ["libm::trunc", "libm::fabs", "libm::floor", "libm::ceil", "libm::copysign", "libm::sqrt"];
    const CALLS: [&str; 16] = [
        ".exp(", ".exp2(", ".exp_m1(", ".ln(", ".ln_1p(", ".log(", ".log2(", ".log10(", ".powf(", ".powi(", ".sin(",
        ".cos(", ".tan(", ".tanh(", ".atan2(", "libm::",
    ];
    let mut wrong = Vec::new();
    for (path, text) in core() {
        for (number, line) in code(&text) {
            let line = EXACT.iter().fold(line.to_owned(), |line, exact| line.replace(exact, ""));
            let calls = CALLS.iter().filter(|call| line.contains(**call) && path != "scorer/src/math.rs");
            wrong.extend(calls.map(|call| format!("{path}:{number}: {call}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_stay_short() {
    let long: Vec<String> =
        everything().into_iter().filter(|(_, text)| text.lines().count() > 400).map(|(path, _)| path).collect();
    assert!(long.is_empty(), "more than 400 lines: {long:?}");
}

#[test]
fn every_limit_is_enforced_somewhere() {
    let limits = read("scorer/src/limits.rs");
    let names: Vec<&str> =
        limits.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()).collect();
    assert!(names.len() > 25, "{names:?}");
    let mut files = core();
    files.remove("scorer/src/limits.rs");
    files.extend(sources("scorer/wasm/src", &["rs"]));
    let code: String = files.values().flat_map(|text| code(text)).map(|(_, line)| format!("{line}\n")).collect();
    let idle: Vec<&&str> =
        names.iter().filter(|name| !words_after(&code, "limits::").any(|word| word == **name)).collect();
    assert!(idle.is_empty(), "limits that nothing enforces: {idle:?}");
}

/// The words that follow a prefix.
fn words_after<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(prefix).skip(1).filter_map(|rest| words(rest).next())
}

#[test]
fn every_code_is_documented() {
    let page = read("scorer/wasm/README.md");
    for code in Code::ALL {
        let row = format!("| {} | `{}` |", code as i32, code.name());
        assert!(page.contains(&row), "scorer/wasm/README.md lacks {row}");
    }
}

/// What the module has, by section.
#[derive(Default)]
struct Facts {
    imports: usize,
    exports: Vec<(String, ExternalKind)>,
    memories: Vec<bool>,
    functions: usize,
    operators: usize,
    refused: BTreeSet<String>,
}

fn facts(module: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("a well-formed module") {
            Payload::ImportSection(section) => facts.imports += section.count() as usize,
            Payload::MemorySection(section) => {
                facts.memories.extend(section.into_iter().map(|memory| memory.expect("a memory").shared));
            }
            Payload::ExportSection(section) => {
                let exports = section.into_iter().map(|export| export.expect("an export"));
                facts.exports.extend(exports.map(|export| (export.name.to_owned(), export.kind)));
            }
            Payload::CodeSectionEntry(body) => {
                facts.functions += 1;
                for operator in body.get_operators_reader().expect("operators") {
                    facts.operators += 1;
                    // By name: relaxed SIMD may differ between machines, and there are no threads.
                    let name = format!("{:?}", operator.expect("a known operator"));
                    if name.contains("Relaxed") || name.contains("Atomic") {
                        facts.refused.insert(name);
                    }
                }
            }
            _ => {}
        }
    }
    facts
}

/// The calls in the table of an ABI page.
fn documented(page: &str) -> BTreeSet<String> {
    let page = read(page);
    let rows =
        page.lines().filter_map(|line| line.strip_prefix("| `tg_")?.split('`').next().map(|name| format!("tg_{name}")));
    rows.collect()
}

#[test]
fn the_module_is_what_its_page_says() {
    let calls = documented("scorer/wasm/README.md");
    assert!(calls.len() >= 14, "{calls:?}");
    stands_alone(tollgate_module::TOLLGATE_WASM, &calls);
}

#[test]
fn the_onnx_module_is_what_its_page_says() {
    let path = root().join("target/release/tollgate-onnx.wasm");
    let Some(path) = present(path, "the ONNX module, see `make onnx`") else { return };
    let more = documented("scorer/onnx/README.md");
    assert!(more.len() >= 2, "{more:?}");
    let calls = documented("scorer/wasm/README.md").union(&more).cloned().collect();
    stands_alone(&std::fs::read(path).expect("the module"), &calls);
}

/// A module imports nothing, exports its memory and the calls of its pages, and computes the
/// same everywhere.
fn stands_alone(module: &[u8], calls: &BTreeSet<String>) {
    let facts = facts(module);
    assert_eq!(facts.imports, 0, "the module imports nothing");
    assert_eq!(facts.memories, [false], "one memory, not shared");
    assert!(facts.functions > 50 && facts.operators > 10_000, "the code was read");
    assert!(facts.refused.is_empty(), "{:?}", facts.refused);
    let of = |kind: ExternalKind| -> BTreeSet<String> {
        facts.exports.iter().filter(|export| export.1 == kind).map(|export| export.0.clone()).collect()
    };
    assert_eq!(of(ExternalKind::Func), *calls, "exports and the ABI page");
    assert_eq!(of(ExternalKind::Memory), BTreeSet::from(["memory".to_owned()]));
    let linker = of(ExternalKind::Global);
    assert!(linker.iter().all(|name| ["__data_end", "__heap_base"].contains(&name.as_str())), "{linker:?}");
    assert_eq!(facts.exports.len(), calls.len() + 1 + linker.len(), "and nothing else");
}

#[test]
fn nothing_depends_on_tests_or_models() {
    for path in
        ["scorer/Cargo.toml", "scorer/wasm/Cargo.toml", "js/Cargo.toml", "host/Cargo.toml", "host/module/Cargo.toml"]
    {
        assert!(!read(path).contains("tollgate-tests"), "{path}");
    }
    for path in ["scorer/Cargo.toml", "scorer/wasm/Cargo.toml", "js/Cargo.toml"] {
        assert!(!read(path).contains("tollgate-host"), "{path}");
    }
}

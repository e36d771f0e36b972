//! Neural nets: layers in every runtime, graphs in the ONNX module.

use proptest::prelude::*;
use proptest::sample::Index;
use std::path::{Path, PathBuf};
use tollgate_host::author;
use tollgate_host::import::{self, Format, NetOperation, Source, Wanted};
use tollgate_host::sandbox::{Bounds, Instance, Sandbox, ScoreError};
use tollgate_scorer::Code;
use tollgate_scorer::model::{ONNX, PAIRS};
use tollgate_tests::cases::{folders, json, same_bits};
use tollgate_tests::forge::{key, public};
use tollgate_tests::property::check;
use tollgate_tests::{Native, Runtime, Wasmtime, doubles, present, root};

fn checkout() -> Vec<u8> {
    std::fs::read(root().join("models/checkout/model.onnx")).expect("the example's model")
}

/// Rows within a few units, without repetition.
fn rows(width: usize, count: usize) -> Vec<f64> {
    (0..width * count).map(|at| ((at * 7919 + 13) % 2003) as f64 / 97.0 - 10.0).collect()
}

#[test]
fn layers_have_the_same_bits_natively_and_in_the_sandbox() {
    let source = import::onnx(&checkout(), None).expect("the example is lowered");
    assert!(matches!(source, Source::Net(_)), "a small net needs no other module");
    let (file, width) = (author::bare(&source, &key(1)).expect("a bundle"), source.features().len());
    let (mut native, mut wasmtime) = (Native::default(), Wasmtime::new(Bounds::default()));
    for runtime in [&mut native as &mut dyn Runtime, &mut wasmtime] {
        runtime.load(&file, &public(1), None, None).expect("loads");
    }
    let rows = rows(width, 500);
    let together = native.predict(&rows, width, 1, false);
    let pairs = |other: Vec<f64>| together.iter().zip(other).all(|(a, b)| same_bits(*a, b));
    assert!(pairs(wasmtime.predict(&rows, width, 1, false)), "sandbox");
    assert!(pairs(native.predict_alone(&rows, width, 1)), "row by row");
    assert!(together.iter().any(|score| *score > 0.0) && together.iter().any(|score| *score < 0.0));
}

#[test]
fn reasons_of_nets_add_up_and_do_not_change() {
    let source = import::onnx(&checkout(), None).expect("the example is lowered");
    let (file, width) = (author::bare(&source, &key(1)).expect("a bundle"), source.features().len());
    let (mut native, mut wasmtime) = (Native::default(), Wasmtime::new(Bounds::default()));
    native.load(&file, &public(1), None, None).expect("loads");
    wasmtime.load(&file, &public(1), None, None).expect("loads");
    let rows = rows(width, 20);
    let scores = native.predict(&rows, width, 1, false);
    let told = native.contributions(&rows, width, 1).expect("explained");
    assert_eq!(told, wasmtime.contributions(&rows, width, 1).expect("explained"));
    assert_eq!(PAIRS, 8, "the number that the documentation names");
    for (told, score) in told.chunks(width + 1).zip(scores) {
        let sum: f64 = told.iter().sum();
        assert!((sum - score).abs() < 1e-5 * (1.0 + score.abs()), "{sum} where the score is {score}");
    }
}

/// A damaged file is refused with a message, read as another model, or left to the ONNX module.
#[test]
fn damaged_graphs_do_not_stop_the_importer() {
    let honest = checkout();
    let damage = prop::collection::vec((any::<Index>(), any::<u8>()), 1..12);
    check(512, (damage, prop::option::of(any::<Index>())), |(bytes, cut)| {
        let mut file = honest.clone();
        for (at, byte) in bytes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(honest.len()));
        }
        match import::onnx(&file, None) {
            Err(failure) => assert!(["MODEL", "LIMIT"].contains(&failure.code), "{failure}"),
            Ok(source @ Source::Net(_)) => {
                if let Err(failure) = author::bare(&source, &key(1)) {
                    assert!(["MODEL", "LIMIT", "MALFORMED"].contains(&failure.code), "{failure}");
                }
            }
            Ok(_) => {}
        }
    });
}

/// A file cut short is no model, wherever it ends.
#[test]
fn every_length_of_the_file_is_refused_or_read() {
    let honest = checkout();
    for length in (0..honest.len()).step_by(17) {
        assert!(import::onnx(&honest[..length], None).is_err(), "the first {length} bytes are no model");
    }
    let Source::Net(net) = import::onnx(&honest, None).expect("read") else { panic!("a net") };
    let dense = net.layers.iter().filter(|layer| matches!(layer.operation, NetOperation::Dense { .. })).count();
    assert_eq!(dense, 3);
}

/// Words of the plan and numbers overwritten, mostly by the largest there are: an error with a
/// code, natively and in the sandbox alike, or a net that decides.
#[test]
fn damaged_layers_under_a_good_signature() {
    let source = import::onnx(&checkout(), None).expect("the example is lowered");
    let file = author::bare(&source, &key(1)).expect("a bundle");
    let model = author::model_part(&source, &[]).expect("a part").bytes;
    let runtimes = std::cell::RefCell::new((Native::default(), Wasmtime::new(Bounds::default())));
    let byte = prop_oneof![any::<u8>(), Just(0xff), Just(0), Just(0x7f)];
    check(256, (any::<Index>(), prop::collection::vec(byte, 1..12)), |(at, bytes)| {
        let mut part = model.clone();
        // The plan stands before the numbers, which are by far the most bytes.
        let at = at.index(part.len().min(1200));
        part.iter_mut().skip(at).zip(bytes).for_each(|(old, new)| *old = new);
        let forged = replaced(&file, "layers/1", &part);
        let (native, wasmtime) = &mut *runtimes.borrow_mut();
        let loaded = native.load(&forged, &public(1), None, None);
        assert_eq!(wasmtime.load(&forged, &public(1), None, None), loaded);
    });
}

/// The ONNX module, where it was built.
fn onnx() -> Option<Sandbox> {
    present(root().join("target/release/tollgate-onnx.wasm"), "the ONNX module, see `make onnx`")?;
    Some(
        Sandbox::for_graphs(Bounds { memory_bytes: 1 << 30, load_ms: 120_000, call_ms: 60_000, ..Bounds::default() })
            .expect("compiles"),
    )
}

/// The ONNX module and the grid, where both were made.
fn onnx_and_grid() -> Option<(Sandbox, PathBuf)> {
    Some((onnx()?, present(root().join("target/onnx-grid"), "grid of ONNX Runtime, see `make onnx-grid`")?))
}

fn load(sandbox: &Sandbox, file: &[u8]) -> Result<(Instance, tollgate_host::sandbox::LoadedBundle), ScoreError> {
    let mut instance = sandbox.instance().expect("an instance");
    instance.load(file, &[public(1)], None, None).map(|bundle| (instance, bundle))
}

#[test]
fn graphs_run_in_the_onnx_module_alone() {
    let Some((sandbox, grid)) = onnx_and_grid() else { return };
    let mut ran = 0;
    for case in folders(&grid) {
        if case.file_name().is_some_and(|name| name.to_string_lossy().starts_with("graph_")) {
            graph(&sandbox, &case);
            ran += 1;
        }
    }
    println!("graphs: {ran} models");
    assert!(ran >= 6, "the graphs are there");
}

fn graph(sandbox: &Sandbox, case: &Path) {
    let source =
        Source::read(&case.join("model.onnx"), &Wanted::default()).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(matches!(source, Source::Graph(_)), "{}: not lowered", case.display());
    let file = author::bare(&source, &key(1)).unwrap_or_else(|failure| panic!("{}: {failure}", case.display()));
    let lean = Sandbox::new(Bounds::default()).expect("compiles");
    match load(&lean, &file) {
        Err(ScoreError::Refused(Code::Incompatible, text)) => assert!(text.contains("tollgate-onnx.wasm"), "{text}"),
        other => panic!("the lean module must refuse: {:?}", other.map(|_| ())),
    }
    let (mut instance, bundle) = load(sandbox, &file).unwrap_or_else(|error| panic!("{}: {error:?}", case.display()));
    let (width, outputs) = (source.features().len(), source.outputs());
    let rows = doubles(&case.join("X.f64"));
    let got = instance.predict(bundle, &rows, width, outputs, true).expect("predicts");
    agrees(case, &got);
    // Alone or together, whatever came before it, a row has the same bits; and it has reasons.
    for (row, got) in rows.chunks(width).zip(got.chunks(outputs)).take(50).collect::<Vec<_>>().into_iter().rev() {
        let alone = instance.predict(bundle, row, width, outputs, true).expect("predicts");
        assert!(alone.iter().zip(got).all(|(a, b)| same_bits(*a, *b)), "{}", case.display());
    }
    let told = instance.contributions(bundle, &rows[..width], width, outputs).expect("explains");
    assert_eq!(told.len(), outputs * (width + 1));
}

/// Within the case's tolerance of what ONNX Runtime gave, as far as there are rows.
fn agrees(case: &Path, got: &[f64]) {
    let want = doubles(&case.join("response.f64"));
    let tolerance = json(&case.join("meta.json"))["tolerance"].as_f64().expect("a number");
    let off = got.iter().zip(&want).filter(|(got, want)| (*got - *want).abs() > tolerance * (1.0 + want.abs())).count();
    assert_eq!(off, 0, "{}", case.display());
}

/// Nets that are lowered run as graphs too, and agree with ONNX Runtime there. Where a net is
/// nothing but layers with Relu, both roads have the same bits: so these bits are the same
/// natively and in every build of the module.
#[test]
fn lowered_nets_agree_as_graphs() {
    let Some((sandbox, grid)) = onnx_and_grid() else { return };
    let graph = Wanted { format: Some(Format::Graph), ..Wanted::default() };
    let (mut ran, mut same) = (0, 0);
    for case in folders(&grid) {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.starts_with("net_") {
            continue;
        }
        let bytes = std::fs::read(case.join("model.onnx")).expect("a file");
        let source = Source::read(&case.join("model.onnx"), &graph).unwrap_or_else(|failure| panic!("{failure}"));
        let file = author::bare(&source, &key(1)).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let (mut instance, bundle) = load(&sandbox, &file).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let (width, outputs) = (source.features().len(), source.outputs());
        let rows = &doubles(&case.join("X.f64"))[..width * 500];
        let mut got = instance.predict(bundle, rows, width, outputs, true).expect("predicts");
        if outputs == 2 && json(&case.join("meta.json"))["outputs"] == 1 {
            // The graph gives out both classes, of which the case has the second.
            got = got.chunks(2).map(|both| both[1]).collect();
        }
        agrees(&case, &got);
        ran += 1;
        if name.starts_with("net_relu") {
            let layers = author::bare(&import::onnx(&bytes, None).expect("lowered"), &key(1)).expect("a bundle");
            let mut native = Native::default();
            native.load(&layers, &public(1), None, None).expect("loads");
            let graph = instance.predict(bundle, rows, width, outputs, false).expect("predicts");
            let pairs = native.predict(rows, width, outputs, false).into_iter().zip(graph);
            assert!(pairs.into_iter().all(|(a, b)| same_bits(a, b)), "{name}: other bits than as layers");
            same += 1;
        }
    }
    println!("lowered nets as graphs: {ran} agree, {same} of them bit by bit with layers");
    assert!(ran >= 40 && same >= 5);
}

/// An author reads which operator it is that tract does not know.
#[test]
fn a_graph_is_refused_with_the_words_of_tract() {
    if onnx().is_none() {
        return;
    }
    let mut file = checkout();
    // The scaler's name, then what it is.
    let places: Vec<usize> = (0..file.len() - 6).filter(|at| file[*at..].starts_with(b"Scaler")).collect();
    places.iter().for_each(|at| file[*at..at + 6].copy_from_slice(b"Scolar"));
    let graph = import::onnx::as_graph(&file, None).expect("read");
    let failure = author::bare(&Source::Graph(graph), &key(1)).map(|_| ()).expect_err("refused");
    println!("{failure}");
    assert_eq!((places.len(), failure.code), (2, "MODEL"));
    assert!(failure.message.contains("Scolar"), "{failure}");
}

/// A signature vouches for the author and not for the author's graph: tract may refuse it or
/// panic, which ends in a trap of that one instance.
#[test]
fn damaged_graphs_end_in_an_error_of_their_own_instance() {
    let Some((sandbox, grid)) = onnx_and_grid() else { return };
    let source = Source::read(&grid.join("graph_conv/model.onnx"), &Wanted::default()).expect("read");
    let Source::Graph(honest) = &source else { panic!("a graph") };
    let file = author::bare(&source, &key(1)).expect("a bundle");
    let model = author::model_part(&source, &[]).expect("a part").bytes;
    let at = model.windows(honest.graph.len()).position(|part| part == honest.graph).expect("the graph is in the part");
    let damage = prop::collection::vec((any::<Index>(), any::<u8>()), 1..8);
    let ends = std::cell::RefCell::new([0; 3]);
    check(64, damage, |bytes| {
        let mut part = model.clone();
        for (place, byte) in bytes {
            part[at + place.index(honest.graph.len())] = byte;
        }
        let forged = replaced(&file, ONNX, &part);
        let end = match load(&sandbox, &forged) {
            Ok(_) => 0,
            Err(ScoreError::Refused(..)) => 1,
            Err(ScoreError::Lost(_)) => 2,
        };
        ends.borrow_mut()[end] += 1;
    });
    println!("damaged graphs: {:?} loaded, refused, trapped", ends.borrow());
    load(&sandbox, &file).expect("an honest one still loads");
}

/// The bundle with another model part, signed again.
fn replaced(file: &[u8], format: &'static str, model: &[u8]) -> Vec<u8> {
    use tollgate_scorer::Trust;
    use tollgate_scorer::bundle::{Role, verify};
    use tollgate_scorer::trust::TrustedKeys;
    let trust = Trust { keys: TrustedKeys::parse(&public(1)).expect("a key"), expected: None, now_ms: None };
    let bundle = verify(file, &trust).expect("verifies");
    let roles = [Role::Schema, Role::Model, Role::Calibrator, Role::Policy, Role::Golden];
    let parts = roles.map(|role| author::PartSource {
        role,
        format: match role {
            Role::Schema => "schema/1",
            Role::Model => format,
            Role::Calibrator => "calibrator/1",
            Role::Policy => "policy/1",
            _ => "golden/1",
        },
        bytes: if role == Role::Model { model.to_vec() } else { bundle.part(role).to_vec() },
    });
    author::sign(&author::Provenance { name: "model".into(), ..author::Provenance::default() }, &parts, &key(1))
        .expect("signs")
}

//! LightGBM models, raw scores bit by bit.
//!
//! Two sources: the parity cases (other projects' models with published predictions)
//! and a grid that `tests/python/lightgbm_grid.py` trains with the official library.

use tollgate_host::sandbox::Bounds;
use tollgate_tests::cases::{check_grid, contributions_case, folders, is_usable, json, parity_case};
use tollgate_tests::{Native, Runtime, Wasmtime, present, root, shared};

#[test]
fn parity_cases() {
    let Some(cases) = shared("parity", "LightGBM parity cases") else { return };
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() });
    let (mut ran, mut rows_off) = (0, 0);
    for case in folders(&cases) {
        let meta = json(&case.join("meta.json"));
        if meta["format"] != "lightgbm_text" || !is_usable(&meta) {
            continue;
        }
        ran += 1;
        rows_off += parity_case(&case, "model.txt", &meta, &mut wasmtime);
    }
    println!("parity: {ran} LightGBM cases, {rows_off} rows off");
    assert_eq!(rows_off, 0);
    assert!(ran >= 11, "the LightGBM cases are there");
}

#[test]
fn trained_grid() {
    let Some(grid) = present(root().join("target/grid"), "grid trained with LightGBM, see `make grid`") else { return };
    assert!(check_grid(&grid, 1e-12) >= 10, "the grid is there");
}

/// Shapley values against LightGBM's own, which were computed by another algorithm.
#[test]
fn shapley_values() {
    let Some(grid) = present(root().join("target/grid"), "grid trained with LightGBM, see `make grid`") else { return };
    let (mut explained, mut refused, mut off) = (0, Vec::new(), Vec::new());
    for mut runtime in [Box::new(Native::default()) as Box<dyn Runtime>, Box::new(Wasmtime::new(Bounds::default()))] {
        for case in folders(&grid).into_iter().filter(|case| case.join("contributions.f64").exists()) {
            match contributions_case(&case, "model.txt", 1e-9, runtime.as_mut()) {
                Some(0) => explained += 1,
                Some(wrong) => off.push(format!("{} on {}: {wrong} numbers", case.display(), runtime.name())),
                None => refused.push(case.file_name().map(|name| name.to_owned())),
            }
        }
    }
    println!("explained {explained} models, refused {refused:?}");
    assert!(off.is_empty(), "{}", off.join("\n"));
    assert!(explained > 150 && refused.len() < 10, "models with the training data of their leaves are explained");
}

#[test]
fn refused_by_name() {
    let refusal = |text: &str| tollgate_host::import::lightgbm(text, None).expect_err("refused").message;
    let model = std::fs::read_to_string(root().join("models/loan/model.txt")).expect("the loan model");
    let check = |from: &str, to: &str, names: &str| {
        assert!(model.contains(from), "{from}");
        let message = refusal(&model.replacen(from, to, 1));
        assert!(message.contains(names), "{message}");
    };
    check("objective=binary", "objective=plackett_luce", "\"plackett_luce\" is not supported");
    check("version=v4", "version=v9", "version v9");
    check("num_leaves=15", "num_leaves=16", "entries where");
    check("left_child=", "left_child=0 ", "line");
    check("Tree=3", "Tree-3", "cut short");
    check("split_feature=", "split_feature=99 ", "line");
    let cut = &model[..model.len() / 2];
    assert!(refusal(&cut[..cut.rfind("Tree=").expect("a tree")]).contains("cut short"));
}

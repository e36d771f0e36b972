//! Bundles with ONNX graphs: the sidecar takes the module that a bundle needs.

use crate::sidecar::{Sidecar, shop, until, without_counter};
use std::path::Path;

/// Compiling the ONNX module takes seconds; decisions go on with the other bundle meanwhile.
#[test]
fn a_graph_takes_the_place_of_a_forest() {
    let target = Path::new(env!("CARGO_BIN_EXE_tollgate")).parent().expect("a folder");
    let net = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/net/graph");
    if !target.join("tollgate-onnx.wasm").exists() || !net.exists() {
        eprintln!("skipped: graphs in the sidecar (no ONNX module or no net, see `make onnx target/net/done`)");
        return;
    }
    let shop = shop();
    std::fs::create_dir(shop.path("net")).expect("a folder");
    for name in ["bundle.toml", "model.onnx", "golden.csv", "calibration.csv"] {
        std::fs::copy(net.join(name), shop.path("net").join(name)).expect("copied");
    }
    let digest = shop.build("net")["digest"].as_str().expect("a digest").to_owned();
    let sidecar = Sidecar::start(&shop, "--set poll_ms=20");
    let forest = sidecar.digest();
    assert_eq!(sidecar.decide(r#"{"features":{}}"#)["bundle_digest"], forest.as_str());
    std::fs::rename(shop.path("signup.tollgate"), shop.path("forest.tollgate")).expect("moved");
    std::fs::rename(shop.path("net.tollgate"), shop.path("signup.tollgate")).expect("moved");
    until("the graph serves", || sidecar.digest() == digest);
    let row = r#"{"f0":1.5,"f1":-2.0,"f63":0.25}"#;
    let decided = sidecar.decide(&format!(r#"{{"features":{row}}}"#));
    assert_eq!(decided["bundle_digest"], digest.as_str());
    assert!(decided["margin"].is_number(), "{decided}");
    shop.write("rows.ndjson", row);
    let scored: Vec<_> = shop.score("signup", "rows.ndjson").iter().map(|line| crate::workshop::json(line)).collect();
    let same = |record: &serde_json::Value| (record["margin"].clone(), record["probability"].clone());
    assert_eq!(same(&without_counter(decided)), same(&scored[0]));
    std::fs::rename(shop.path("forest.tollgate"), shop.path("signup.tollgate")).expect("moved");
    until("the forest serves again", || sidecar.digest() == forest);
}

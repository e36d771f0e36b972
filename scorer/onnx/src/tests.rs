//! Graphs with and without the kernel in the place of tract's products.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

use crate::{dense, prepare};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto, ValueInfoProto,
    type_proto,
};
use tract_onnx::prelude::*;

const WIDTH: usize = 10;

/// Outputs of a graph for some rows: by tract alone, then with `Dense`, and how many there are.
fn both(model: &ModelProto, output: &str, shape: &[usize]) -> (Vec<f32>, Vec<f32>, usize) {
    let fact = InferenceFact::dt_shape(f32::datum_type(), shape);
    let mut model = onnx().model_for_proto_model(model).expect("parses");
    model.select_outputs_by_name([output]).expect("the output is there");
    let plain = model.with_input_fact(0, fact).and_then(|model| model.into_typed()?.into_decluttered());
    let plain = plain.expect("typed");
    let mut replaced = plain.clone();
    dense::rewrite(&mut replaced).expect("rewritten");
    let count = replaced.nodes().iter().filter(|node| node.op.name() == "Dense").count();
    let run = |model: TypedModel| {
        let plan = model.into_optimized().and_then(|model| model.into_runnable()).expect("a plan");
        let rows = (0..20).flat_map(|row| {
            let width = shape.iter().product::<usize>();
            let values: Vec<f32> =
                (0..width).map(|at| number(row * width + at) * f32::from((at % 3 != 0) as u8)).collect();
            let row = Tensor::from_shape(shape, &values).expect("a row");
            plan.run(tvec!(row.into())).expect("runs")[0].to_plain_array_view::<f32>().expect("numbers").to_owned()
        });
        rows.collect::<Vec<f32>>()
    };
    (run(plain), run(replaced), count)
}

fn number(at: usize) -> f32 {
    ((at * 7919 + 13) % 2003) as f32 / 500.0 - 2.0
}

fn close(model: &ModelProto, output: &str, shape: &[usize], expected: usize) {
    let (plain, replaced, count) = both(model, output, shape);
    assert_eq!((count, plain.len()), (expected, replaced.len()), "{output}");
    let off = plain.iter().zip(&replaced).find(|(a, b)| (*a - *b).abs() > 1e-4 * (1.0 + a.abs()));
    assert_eq!(off, None, "{output}");
}

/// A graph of one node behind the input, whose constants are `C0`, `C1` and so on.
fn graph(nodes: Vec<NodeProto>, constants: &[&[i64]]) -> ModelProto {
    let constant = |(at, dims): (usize, &&[i64])| TensorProto {
        name: format!("C{at}"),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: (0..dims.iter().product::<i64>() as usize).map(|place| number(place + 31 * at)).collect(),
        ..TensorProto::default()
    };
    let tensor = type_proto::Tensor { elem_type: 1, shape: None };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    let input = ValueInfoProto { name: "X".into(), r#type: Some(kind), ..ValueInfoProto::default() };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
        graph: Some(GraphProto {
            node: nodes,
            initializer: constants.iter().enumerate().map(constant).collect(),
            input: vec![input],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn node(kind: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: kind.into(),
        input: inputs.iter().map(|name| name.to_string()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn transposed(mut node: NodeProto) -> NodeProto {
    node.attribute.push(AttributeProto { name: "transB".into(), r#type: 2, i: 1, ..AttributeProto::default() });
    node
}

#[test]
fn products_sums_and_limits_become_one_node() {
    let (wide, high) = ([WIDTH as i64, 37], [37, WIDTH as i64]);
    type Case<'c> = (Vec<NodeProto>, &'c [&'c [i64]], &'c [usize]);
    let cases: [Case<'_>; 7] = [
        (vec![node("Gemm", &["X", "C0", "C1"], "Y")], &[&wide, &[37]], &[1, WIDTH]),
        (vec![transposed(node("Gemm", &["X", "C0", "C1"], "Y"))], &[&high, &[37]], &[1, WIDTH]),
        (vec![node("MatMul", &["X", "C0"], "Y")], &[&wide], &[1, WIDTH]),
        (vec![node("MatMul", &["X", "C0"], "P"), node("Add", &["C1", "P"], "Y")], &[&wide, &[1]], &[1, WIDTH]),
        (vec![node("MatMul", &["C0", "X"], "P"), node("Relu", &["P"], "Y")], &[&high], &[WIDTH, 1]),
        (
            vec![node("Gemm", &["X", "C0", "C1"], "P"), node("Relu", &["P"], "Q"), node("Sigmoid", &["Q"], "Y")],
            &[&wide, &[37]],
            &[1, WIDTH],
        ),
        (vec![node("MatMul", &["X", "C0"], "Y")], &[&[WIDTH as i64, 1]], &[1, WIDTH]),
    ];
    for (nodes, constants, shape) in cases {
        close(&graph(nodes, constants), "Y", shape, 1);
    }
}

/// What is read twice keeps its own value; what is no single row stays tract's.
#[test]
fn what_others_read_is_not_swallowed() {
    let wide = [WIDTH as i64, 37];
    let twice = vec![node("MatMul", &["X", "C0"], "P"), node("Relu", &["P"], "Q"), node("Add", &["P", "Q"], "Y")];
    close(&graph(twice, &[&wide]), "Y", &[1, WIDTH], 1);
    let limited = vec![node("MatMul", &["X", "C0"], "P"), node("Max", &["P", "C1"], "Y")];
    close(&graph(limited, &[&wide, &[37]]), "Y", &[1, WIDTH], 1);
    let grown = vec![node("MatMul", &["X", "C0"], "P"), node("Add", &["P", "C1"], "Y")];
    close(&graph(grown, &[&wide, &[37, 1]]), "Y", &[1, WIDTH], 1);
    close(&graph(vec![node("MatMul", &["X", "C0"], "Y")], &[&wide]), "Y", &[3, WIDTH], 0);
}

/// Classifiers give out labels too, by operators that tract does not have.
#[test]
fn labels_are_cut_off() {
    let nodes = vec![
        node("Constant", &[], "classes"),
        node("MatMul", &["X", "C0"], "P"),
        node("Softmax", &["P"], "Y"),
        node("ArgMax", &["Y"], "best"),
        node("ArrayFeatureExtractor", &["classes", "best"], "label"),
    ];
    let mut model = graph(nodes, &[&[WIDTH as i64, 37], &[5]]);
    let graph = model.graph.as_mut().expect("a graph");
    prepare::prune(graph, "Y");
    let kinds: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!((kinds.as_slice(), graph.initializer.len()), (["MatMul", "Softmax"].as_slice(), 1));
    close(&model, "Y", &[1, WIDTH], 1);
}

/// As scikit-learn's pipelines have them, with numbers for all columns or one for each.
#[test]
fn scalers_and_imputers_are_spelled_out() {
    let numbers = |name: &str, floats: Vec<f32>| AttributeProto {
        name: name.into(),
        r#type: 6,
        floats,
        ..AttributeProto::default()
    };
    let of_ml = |kind: &str, from: &str, to: &str, attribute| NodeProto {
        domain: "ai.onnx.ml".into(),
        attribute,
        ..node(kind, &[from], to)
    };
    let columns = || (0..WIDTH).map(|at| at as f32).collect::<Vec<_>>();
    let nan = AttributeProto { f: f32::NAN, r#type: 1, ..numbers("replaced_value_float", vec![]) };
    let imputer = of_ml("Imputer", "N", "F", vec![numbers("imputed_value_floats", columns()), nan]);
    let scaler = of_ml("Scaler", "F", "S", vec![numbers("scale", vec![2.0]), numbers("offset", columns())]);
    let product = || node("MatMul", &["S", "C0"], "Y");
    // The divisor is zero where the input is: there it is missing, and its offset is itself.
    let missing = node("Div", &["X", "X"], "N");
    let mut spelled = graph(vec![missing.clone(), imputer, scaler, product()], &[&[WIDTH as i64, 37]]);
    // Names that are taken are not taken again.
    let taken = node("Add", &["X", "X"], "S/centred");
    spelled.graph.as_mut().expect("a graph").node.push(taken);
    prepare::spell_out(spelled.graph.as_mut().expect("a graph"));
    let by_hand = vec![
        missing,
        node("IsNaN", &["N"], "M"),
        node("Where", &["M", "C1", "N"], "F"),
        node("Sub", &["F", "C1"], "D"),
        node("Add", &["D", "D"], "S"),
        product(),
    ];
    let mut by_hand = graph(by_hand, &[&[WIDTH as i64, 37], &[WIDTH as i64]]);
    by_hand.graph.as_mut().expect("a graph").initializer[1].float_data = columns();
    let spelled = both(&spelled, "Y", &[1, WIDTH]).1;
    assert!(spelled.iter().all(|number| number.is_finite()));
    assert_eq!(spelled, both(&by_hand, "Y", &[1, WIDTH]).1);
}

/// One that replaces zeros, as without the attribute, stays as it is, and tract refuses it.
#[test]
fn imputers_of_zeros_are_left() {
    let imputer = NodeProto { domain: "ai.onnx.ml".into(), ..node("Imputer", &["X"], "Y") };
    let mut model = graph(vec![imputer], &[]);
    prepare::spell_out(model.graph.as_mut().expect("a graph"));
    assert_eq!(model.graph.expect("a graph").node[0].op_type, "Imputer");
}

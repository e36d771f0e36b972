//! ONNX graphs that are refused, by name and without a panic: broken ones, and sound ones
//! that cannot be lowered.

use prost::Message;
use tollgate_host::Failure;
use tollgate_host::import::onnx;
use tollgate_host::import::onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

fn named(name: &str) -> AttributeProto {
    AttributeProto { name: name.into(), ..AttributeProto::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { ints: ints.to_vec(), r#type: 7, ..named(name) }
}

fn floats(name: &str, floats: &[f32]) -> AttributeProto {
    AttributeProto { floats: floats.to_vec(), r#type: 6, ..named(name) }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, r#type: 2, ..named(name) }
}

fn text(name: &str, text: &str) -> AttributeProto {
    AttributeProto { s: text.into(), r#type: 3, ..named(name) }
}

fn texts(name: &str, texts: &[&str]) -> AttributeProto {
    AttributeProto { strings: texts.iter().map(|text| text.as_bytes().to_vec()).collect(), r#type: 8, ..named(name) }
}

fn value(name: &str, elem_type: i32, width: Option<i64>) -> ValueInfoProto {
    let dim = vec![DimensionProto::default(), DimensionProto { dim_value: width }];
    let tensor_type = Some(TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type, sequence_type: None }) }
}

fn node(op_type: &str, domain: &str, input: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: input.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        name: String::new(),
        op_type: op_type.into(),
        attribute,
        domain: domain.into(),
    }
}

/// Two trees: one of three leaves and one of two.
fn trees(input: &str) -> NodeProto {
    let attributes = vec![
        ints("nodes_treeids", &[0, 0, 0, 0, 0, 1, 1, 1]),
        ints("nodes_nodeids", &[0, 1, 2, 3, 4, 0, 1, 2]),
        ints("nodes_featureids", &[0, 1, 0, 0, 0, 1, 0, 0]),
        texts("nodes_modes", &["BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"]),
        floats("nodes_values", &[0.5, 1.5, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 2, 0, 0, 0, 1, 0, 0]),
        ints("nodes_falsenodeids", &[4, 3, 0, 0, 0, 2, 0, 0]),
        ints("target_treeids", &[0, 0, 0, 1, 1]),
        ints("target_nodeids", &[2, 3, 4, 1, 2]),
        ints("target_ids", &[0, 0, 0, 0, 0]),
        floats("target_weights", &[1.0, 2.0, 3.0, 4.0, 5.0]),
        int("n_targets", 1),
    ];
    node("TreeEnsembleRegressor", "ai.onnx.ml", &[input], "P", attributes)
}

fn model(nodes: Vec<NodeProto>) -> ModelProto {
    let graph = GraphProto {
        node: nodes,
        name: "g".into(),
        initializer: vec![],
        input: vec![value("X", 1, Some(2))],
        output: vec![value("P", 1, None)],
        sparse_initializer: vec![],
    };
    let opset_import = vec![OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 3 }];
    ModelProto { ir_version: 9, graph: Some(graph), opset_import, ..ModelProto::default() }
}

fn base() -> ModelProto {
    model(vec![trees("X")])
}

fn read(model: &ModelProto) -> Result<(), Failure> {
    onnx(&model.encode_to_vec(), None).map(|_| ())
}

/// The model is refused with a message that has all of these words.
fn refused(model: &ModelProto, words: &[&str]) {
    let failure = read(model).expect_err(&format!("refused: {words:?}"));
    assert_eq!(failure.code, "MODEL");
    assert!(words.iter().all(|word| failure.message.contains(word)), "{words:?}: {}", failure.message);
}

/// The base model with one attribute of its trees replaced.
fn with(attribute: AttributeProto) -> ModelProto {
    let mut model = base();
    let attributes = &mut model.graph.as_mut().expect("a graph").node[0].attribute;
    attributes.retain(|there| there.name != attribute.name);
    attributes.push(attribute);
    model
}

fn graph(change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let mut model = base();
    change(model.graph.as_mut().expect("a graph"));
    model
}

#[test]
fn the_base_is_sound() {
    read(&base()).expect("read");
}

/// Of several scores the author names one.
#[test]
fn outputs_are_chosen_by_name() {
    let two = graph(|graph| {
        let mut other = trees("X");
        other.output = vec!["Q".into()];
        other.attribute.retain(|attribute| attribute.name != "target_weights");
        other.attribute.push(floats("target_weights", &[-1.0, -2.0, -3.0, -4.0, -5.0]));
        graph.node.push(other);
        graph.output.push(value("Q", 1, None));
    });
    refused(&two, &["could all be the score", "output"]);
    let chosen = |name| onnx(&two.encode_to_vec(), Some(name));
    let base = onnx(&base().encode_to_vec(), None).expect("read");
    assert_eq!(format!("{:?}", chosen("P").expect("read")), format!("{base:?}"));
    assert_ne!(format!("{:?}", chosen("Q").expect("read")), format!("{base:?}"));
    let failure = chosen("R").expect_err("there is none");
    assert!(["no output", "R", "P", "Q"].iter().all(|word| failure.message.contains(word)), "{failure}");
}

#[test]
fn broken_trees() {
    let tree = "TreeEnsembleRegressor";
    refused(&with(ints("nodes_featureids", &[7, 1, 0, 0, 0, 1, 0, 0])), &[tree, "column 7 of 2"]);
    refused(&with(ints("nodes_featureids", &[-1, 1, 0, 0, 0, 1, 0, 0])), &["nodes_featureids", "negative"]);
    refused(&with(ints("nodes_truenodeids", &[9, 2, 0, 0, 0, 1, 0, 0])), &["nodes_truenodeids", "not there"]);
    refused(&with(ints("nodes_truenodeids", &[0, 2, 0, 0, 0, 1, 0, 0])), &["cycle"]);
    refused(&with(ints("nodes_truenodeids", &[1, 0, 0, 0, 0, 1, 0, 0])), &["cycle"]);
    refused(&with(ints("nodes_truenodeids", &[4, 2, 0, 0, 0, 1, 0, 0])), &["belongs to no tree"]);
    refused(&with(ints("nodes_falsenodeids", &[4, 2, 0, 0, 0, 2, 0, 0])), &["leaf belongs to no tree"]);
    refused(&with(ints("nodes_nodeids", &[0, 1, 2, 2, 4, 0, 1, 2])), &["two nodes 2"]);
    refused(&with(ints("nodes_treeids", &[0, 0, 5, 0, 0, 1, 1, 1])), &["stand together"]);
    refused(&with(ints("nodes_nodeids", &[0, 1, 2])), &["nodes_nodeids", "3 entries where 8 belong"]);
    refused(&with(floats("nodes_values", &[0.5])), &["nodes_values", "1 entries where 8 belong"]);
    refused(&with(ints("nodes_treeids", &[])), &["nodes_treeids", "0 nodes"]);
    refused(
        &with(texts("nodes_modes", &["BRANCH_UP", "LEAF", "LEAF", "LEAF", "LEAF", "LEAF", "LEAF", "LEAF"])),
        &["BRANCH_UP"],
    );
    refused(&with(ints("nodes_missing_value_tracks_true", &[1])), &["nodes_missing_value_tracks_true"]);
    refused(&with(ints("target_nodeids", &[0, 3, 4, 1, 2])), &["target_nodeids", "no leaf"]);
    refused(&with(ints("target_nodeids", &[2, 2, 4, 1, 2])), &["two weights"]);
    refused(&with(ints("target_ids", &[0, 0, 0, 0, 1])), &["target_ids", "out of range"]);
    refused(&with(floats("target_weights", &[1.0])), &["target_treeids", "entries"]);
    refused(&with(floats("base_values", &[1.0, 2.0])), &["base_values"]);
    refused(&with(floats("target_weights", &[1.0, 2.0, f32::NAN, 4.0, 5.0])), &["NaN", "finite"]);
    refused(&with(int("n_targets", 0)), &["out of range"]);
    refused(&with(int("n_targets", i64::MAX)), &["targets"]);
    refused(&with(text("aggregate_function", "MEDIAN")), &["MEDIAN", "SUM"]);
    refused(&with(text("post_transform", "SQUARE")), &["SQUARE"]);
}

#[test]
fn broken_graphs() {
    refused(&graph(|graph| graph.node[0].input[0] = "Y".into()), &["\"Y\"", "no input or node before"]);
    refused(&graph(|graph| graph.node[0].input.clear()), &["input 0 is missing"]);
    refused(&graph(|graph| graph.output[0].name = "Q".into()), &["\"Q\"", "produced by no node"]);
    refused(&graph(|graph| graph.output[0] = value("P", 7, None)), &["only labels"]);
    refused(&graph(|graph| graph.output.push(value("X", 1, None))), &["keep one"]);
    refused(&graph(|graph| graph.input[0] = value("X", 1, None)), &["fixed number of columns"]);
    refused(&graph(|graph| graph.input[0] = value("X", 1, Some(i64::MAX))), &["fixed number of columns"]);
    refused(
        &graph(|graph| graph.input[0] = value("X", 8, Some(2))),
        &["TreeEnsembleRegressor", "texts", "LabelEncoder"],
    );
    refused(&graph(|graph| graph.input.clear()), &["no inputs"]);
    refused(&graph(|graph| graph.sparse_initializer.push(vec![])), &["sparse"]);
    refused(&ModelProto { graph: None, ..base() }, &["no graph"]);
    refused(&ModelProto { opset_import: vec![], ..base() }, &["cut short"]);
    refused(&ModelProto { functions: vec![vec![]], ..base() }, &["functions"]);
    let newer = vec![OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 6 }];
    refused(&ModelProto { opset_import: newer, ..base() }, &["version 6"]);
    // Two nodes that feed each other.
    let loops = vec![node("Identity", "", &["B"], "A", vec![]), node("Identity", "", &["A"], "B", vec![]), trees("B")];
    refused(&model(loops), &["\"B\"", "before"]);
}

#[test]
fn sound_but_not_lowered() {
    let ml = |kind: &str, attributes: Vec<AttributeProto>| {
        model(vec![node(kind, "ai.onnx.ml", &["X"], "Y", attributes), trees("Y")])
    };
    refused(&ml("Normalizer", vec![text("norm", "L2")]), &["Normalizer", "normalize outside"]);
    refused(&ml("SVMRegressor", vec![]), &["SVMRegressor", "not supported"]);
    refused(&ml("OneHotEncoder", vec![texts("cats_strings", &["a"])]), &["OneHotEncoder", "type of its input"]);
    let words = vec![texts("keys_strings", &["a"]), floats("values_floats", &[1.0])];
    refused(&ml("LabelEncoder", words), &["LabelEncoder", "type of its input"]);
    let to_words = vec![ints("keys_int64s", &[1]), texts("values_strings", &["a"])];
    refused(&ml("LabelEncoder", to_words), &["values_strings", "not supported"]);
    let mapped = vec![texts("cats_strings", &["a"]), ints("cats_int64s", &[1])];
    refused(&ml("CategoryMapper", mapped), &["CategoryMapper", "makes texts of numbers"]);
    refused(&ml("Scaler", vec![floats("offset", &[0.0]), floats("scale", &[0.0])]), &["Scaler", "factor 0"]);
    refused(&ml("Scaler", vec![floats("offset", &[0.0, 1.0, 2.0]), floats("scale", &[1.0])]), &["offset", "3 entries"]);
    refused(&ml("Imputer", vec![floats("imputed_value_floats", &[1.0, 2.0, 3.0])]), &["imputed_value_floats"]);
    refused(&model(vec![node("Relu", "", &["X"], "Y", vec![]), trees("Y")]), &["Relu"]);
    refused(&model(vec![node("Add", "", &["X", "X"], "Y", vec![]), trees("Y")]), &["only constants"]);
    let custom = node("Relu", "com.example", &["X"], "Y", vec![]);
    refused(&model(vec![custom, trees("Y")]), &["Relu", "com.example"]);
    let mut twice = trees("X");
    twice.output = vec!["T".into()];
    refused(&model(vec![twice, trees("T")]), &["scores of another model"]);
}

/// Only encoders work on texts.
#[test]
fn texts_that_no_encoder_reads() {
    let on_texts = |nodes: Vec<NodeProto>| {
        let mut model = model(nodes);
        model.graph.as_mut().expect("a graph").input = vec![value("X", 8, Some(2))];
        model
    };
    let label = |keys: AttributeProto| {
        let values = floats("values_floats", &[1.0, 2.0]);
        on_texts(vec![node("LabelEncoder", "ai.onnx.ml", &["X"], "Y", vec![keys, values]), trees("Y")])
    };
    read(&label(texts("keys_strings", &["a", "b"]))).expect("sound");
    refused(&label(texts("keys_strings", &["a"])), &["values_*", "2 entries where 1 belong"]);
    refused(&label(ints("keys_int64s", &[1, 2])), &["type of its input"]);
    let many: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let many = texts("keys_strings", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let values = floats("values_floats", &[1.0; 10_001]);
    let step = node("LabelEncoder", "ai.onnx.ml", &["X"], "Y", vec![many, values]);
    refused(&on_texts(vec![step, trees("Y")]), &["10001 keys"]);
    for (kind, domain) in [("Scaler", "ai.onnx.ml"), ("Imputer", "ai.onnx.ml"), ("Cast", ""), ("Neg", "")] {
        let attributes = vec![floats("offset", &[0.0]), floats("scale", &[1.0]), int("to", 1)];
        let step = node(kind, domain, &["X"], "Y", attributes);
        refused(&on_texts(vec![step, trees("Y")]), &[kind, "texts"]);
    }
    let hot = node("OneHotEncoder", "ai.onnx.ml", &["X"], "Y", vec![ints("cats_int64s", &[1])]);
    refused(&on_texts(vec![hot, trees("Y")]), &["OneHotEncoder", "type of its input"]);
}

/// The largest of columns is known where they are bins of one feature.
#[test]
fn largest_of_what_is_no_bins() {
    let largest = |nodes: Vec<NodeProto>, edges: &[f32]| {
        let last = node("Cast", "", &["L"], "C", vec![int("to", 1)]);
        let both = node("Concat", "", &["C", "X"], "Y", vec![int("axis", 1)]);
        let mut model = model(nodes.into_iter().chain([last, both, trees("Y")]).collect());
        let edges = TensorProto {
            name: "e".into(),
            dims: vec![edges.len() as i64],
            data_type: 1,
            float_data: edges.to_vec(),
            ..TensorProto::default()
        };
        model.graph.as_mut().expect("a graph").initializer.push(edges);
        model
    };
    let arg_max = |input: &str| node("ArgMax", "", &[input], "L", vec![int("axis", 1)]);
    let less = node("Less", "", &["X", "e"], "B", vec![]);
    refused(&largest(vec![arg_max("X")], &[1.0]), &["ArgMax", "bins only"]);
    refused(&largest(vec![less.clone(), arg_max("B")], &[1.0, 2.0]), &["ArgMax", "several features"]);
    refused(&largest(vec![less.clone(), arg_max("B")], &[1.0, 2.0, 3.0]), &["Less", "3 constants for 2 columns"]);
    refused(&largest(vec![less.clone(), arg_max("B")], &[1.0, f32::NAN]), &["Less", "NaN"]);
    let down = node("ArgMax", "", &["B"], "L", vec![int("axis", 0)]);
    refused(&largest(vec![less, down], &[1.0]), &["ArgMax", "as a column"]);
}

#[test]
fn broken_tensors() {
    let constant = |tensor: TensorProto| {
        let mut model = model(vec![node("Sub", "", &["X", "c"], "Y", vec![]), trees("Y")]);
        let tensor = TensorProto { name: "c".into(), ..tensor };
        model.graph.as_mut().expect("a graph").initializer.push(tensor);
        model
    };
    let sound = TensorProto { dims: vec![2], data_type: 1, float_data: vec![1.0, 2.0], ..TensorProto::default() };
    read(&constant(sound.clone())).expect("sound");
    refused(&constant(TensorProto { data_location: 1, ..sound.clone() }), &["another file", "\"c\""]);
    refused(&constant(TensorProto { dims: vec![3], ..sound.clone() }), &["its shape says 3"]);
    refused(&constant(TensorProto { dims: vec![-1], ..sound.clone() }), &["negative"]);
    refused(&constant(TensorProto { dims: vec![1 << 40, 1 << 40], ..sound.clone() }), &["more than"]);
    refused(&constant(TensorProto { data_type: 8, ..sound.clone() }), &["only numbers"]);
    refused(&constant(TensorProto { dims: vec![1], raw_data: vec![0; 3], ..sound }), &["has 0 elements"]);
}

/// Shared nodes double with each level; the total is bounded before memory is.
#[test]
fn shared_nodes_unfold_within_bounds() {
    let levels = 40;
    let ids: Vec<i64> = (0..=levels).collect();
    let next: Vec<i64> = (0..=levels).map(|id| (id + 1).min(levels)).collect();
    let mut modes = vec!["BRANCH_LEQ"; levels as usize];
    modes.push("LEAF");
    let attributes = vec![
        ints("nodes_treeids", &vec![0; ids.len()]),
        ints("nodes_nodeids", &ids),
        ints("nodes_featureids", &vec![0; ids.len()]),
        texts("nodes_modes", &modes),
        floats("nodes_values", &vec![0.5; ids.len()]),
        ints("nodes_truenodeids", &next),
        ints("nodes_falsenodeids", &next),
        ints("target_treeids", &[0]),
        ints("target_nodeids", &[levels]),
        ints("target_ids", &[0]),
        floats("target_weights", &[1.0]),
    ];
    let deep = model(vec![node("TreeEnsembleRegressor", "ai.onnx.ml", &["X"], "P", attributes)]);
    refused(&deep, &["unfolds"]);
}

#[test]
fn cut_short_and_scrambled() {
    let whole = base().encode_to_vec();
    for length in 0..whole.len() {
        let failure = onnx(&whole[..length], None).expect_err("cut short");
        assert_eq!(failure.code, "MODEL");
    }
    // Whatever one byte becomes, there is an answer.
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << bit;
            let _ = onnx(&bytes, None);
        }
    }
}

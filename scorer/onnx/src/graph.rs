//! One graph, optimised for one row.

use crate::check::check;
use crate::dense;
use crate::prepare::{prune, spell_out};
use std::cell::RefCell;
use std::sync::Arc;
use tollgate_scorer::model::{GraphWire, Run};
use tollgate_scorer::{Code, Error, Result};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::InferenceModelExt;

/// A graph with its plan and the plan's working memory.
pub(crate) struct Graph {
    inputs: Vec<Input>,
    outputs: usize,
    plan: Arc<TypedSimplePlan>,
    /// Recurrent layers go on in a plan's state where the row before ended, as for a stream of
    /// rows. Ours have nothing to do with each other, so each gets a state of its own.
    recurrent: bool,
    /// INVARIANT: borrowed within `raw` alone, which does not call itself.
    state: RefCell<TypedSimpleState>,
}

/// One input of the graph.
struct Input {
    width: usize,
    integer: bool,
    shape: TVec<usize>,
}

/// Why there is no graph.
pub(crate) enum Refusal {
    Check(Error),
    Tract(TractError),
}

impl Refusal {
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Check(error) => *error,
            Self::Tract(_) => Error::new(Code::Model, "model: tract refuses the graph"),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Check(error)
    }
}

impl Graph {
    /// Reads, checks and optimises the graph of a part.
    pub(crate) fn read(wire: &GraphWire<'_>) -> Result<Self, Refusal> {
        let inputs: Vec<Input> = wire.inputs.iter().map(|input| Input::new(input.width, input.kind)).collect();
        let mut proto = proto(wire.graph)?;
        check(&proto)?;
        if let Some(graph) = &mut proto.graph {
            prune(graph, wire.output);
            spell_out(graph);
        }
        let plan = plan(&proto, wire, &inputs).map_err(Refusal::Tract)?;
        let state = plan.spawn().map_err(Refusal::Tract)?;
        let recurrent = state.op_states.iter().any(Option::is_some);
        let state = RefCell::new(state);
        let graph = Self { inputs, outputs: wire.outputs as usize, plan, recurrent, state };
        // A first row, so that a graph that runs for no row is refused and not served.
        let zeros = vec![0.0; wire.features.len()];
        graph.row(&zeros).map_err(Refusal::Tract)?;
        Ok(graph)
    }

    fn row(&self, row: &[f64]) -> TractResult<Vec<f64>> {
        let mut given = TVec::new();
        let mut rest = row;
        for input in &self.inputs {
            let (own, more) = rest.split_at_checked(input.width).ok_or_else(|| TractError::msg("row too short"))?;
            rest = more;
            given.push(input.tensor(own)?.into());
        }
        let found = if self.recurrent { self.plan.run(given)? } else { self.run_again(given)? };
        let first = found.first().ok_or_else(|| TractError::msg("no output"))?;
        let numbers = first.cast_to::<f32>()?;
        let numbers: Vec<f64> = numbers.to_plain_array_view::<f32>()?.iter().map(|x| f64::from(*x)).collect();
        if numbers.len() == self.outputs { Ok(numbers) } else { Err(TractError::msg("wrong number of outputs")) }
    }

    /// Runs in the state that is kept; a row that fails leaves none of it to the next.
    fn run_again(&self, given: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut state = self.state.borrow_mut();
        let found = state.run(given);
        if found.is_err() {
            *state = self.plan.spawn()?;
        }
        found
    }
}

impl Run for Graph {
    fn raw(&self, row: &[f64], _: &mut Vec<f32>, outputs: &mut Vec<f64>) {
        match self.row(row) {
            Ok(numbers) => outputs.extend(numbers),
            // As for a missing value that a model has no answer to.
            Err(_) => outputs.extend(std::iter::repeat_n(f64::NAN, self.outputs)),
        }
    }
}

impl Input {
    /// Kinds: 0 float, 1 integer, each with a dimension of columns; 2 and 3 without.
    fn new(width: u32, kind: u32) -> Self {
        let width = width as usize;
        let shape = if kind < 2 { tvec!(1, width) } else { tvec!(1) };
        Self { width, integer: kind % 2 == 1, shape }
    }

    fn fact(&self) -> InferenceFact {
        let kind = if self.integer { i64::datum_type() } else { f32::datum_type() };
        InferenceFact::dt_shape(kind, self.shape.clone())
    }

    fn tensor(&self, values: &[f64]) -> TractResult<Tensor> {
        if self.integer {
            let values: Vec<i64> = values.iter().map(|value| *value as i64).collect();
            return Tensor::from_shape(&self.shape, &values);
        }
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        Tensor::from_shape(&self.shape, &values)
    }
}

fn proto(graph: &[u8]) -> Result<ModelProto> {
    let mut bytes = graph;
    let read = onnx().proto_model_for_read(&mut bytes);
    read.map_err(|_| Error::new(Code::Malformed, "model: no ONNX model"))
}

fn plan(proto: &ModelProto, wire: &GraphWire<'_>, inputs: &[Input]) -> TractResult<Arc<TypedSimplePlan>> {
    let mut model = onnx().model_for_proto_model(proto)?;
    model = model.with_input_names(wire.inputs.iter().map(|input| input.name))?;
    model.select_outputs_by_name([wire.output])?;
    for (index, input) in inputs.iter().enumerate() {
        model = model.with_input_fact(index, input.fact())?;
    }
    let mut model = model.into_typed()?.into_decluttered()?;
    dense::rewrite(&mut model)?;
    model.into_optimized()?.into_runnable()
}

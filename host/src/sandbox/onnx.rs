//! The ONNX module: which bundles need it, where it is, and graphs that authors try out in it.
//!
//! It is a file beside the `tollgate` command, or one folder up, and no part of it, for it is
//! large and few need it: `tollgate-onnx.wasm`, or what `TOLLGATE_ONNX_MODULE` names.

use super::{Bounds, Compiled, Instance, Sandbox};
use crate::failure::{self, Failure, Result};
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tollgate_scorer::bundle::{Bundle, Container, ManifestWire, Verified};
use tollgate_scorer::model::{Net, ONNX, Run};
use tollgate_scorer::trust::Envelope;
use tollgate_scorer::{Code, Error, Model, Scorer, cbor, limits};

/// The file's name.
const FILE: &str = "tollgate-onnx.wasm";
/// Names another file.
const VARIABLE: &str = "TOLLGATE_ONNX_MODULE";

/// Places of a pool, and the bytes of memory of each; zeros where there is none.
type PoolSize = (u32, usize);

impl Sandbox {
    /// Compiles the module that a bundle needs. What the bundle says is not verified here: the
    /// module does that, whichever it is.
    ///
    /// # Errors
    /// As [`Sandbox::new`]; `INCOMPATIBLE` when the ONNX module is needed and not there.
    pub fn for_bundle(bundle: &[u8], bounds: Bounds) -> Result<Self> {
        if needs_onnx(bundle) { Self::for_graphs(bounds) } else { Self::new(bounds) }
    }

    /// This sandbox, or one of the ONNX module with the same bounds for a bundle that needs it.
    ///
    /// # Errors
    /// As [`Sandbox::for_bundle`].
    pub fn suited(self: &Arc<Self>, bundle: &[u8]) -> Result<Arc<Self>> {
        if needs_onnx(bundle) { Self::for_graphs(self.bounds).map(Arc::new) } else { Ok(Arc::clone(self)) }
    }

    /// Compiles the ONNX module.
    ///
    /// # Errors
    /// As [`Sandbox::for_bundle`].
    pub fn for_graphs(bounds: Bounds) -> Result<Self> {
        // Compiling takes seconds: once a process, and for each size of a pool.
        static COMPILED: Mutex<Vec<(PoolSize, Arc<Compiled>)>> = Mutex::new(Vec::new());
        let mut all = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        let size = (bounds.places, if bounds.places > 0 { bounds.memory_bytes } else { 0 });
        if let Some((_, compiled)) = all.iter().find(|(other, _)| *other == size) {
            return Ok(Self { compiled: Arc::clone(compiled), bounds });
        }
        let compiled = Arc::new(Compiled::new(&failure::read(&module()?, limits::BUNDLE_BYTES)?, &bounds)?);
        all.push((size, Arc::clone(&compiled)));
        Ok(Self { compiled, bounds })
    }
}

/// Whether a bundle has a model that only the ONNX module runs; not for what is no bundle.
fn needs_onnx(bundle: &[u8]) -> bool {
    let format = || -> tollgate_scorer::Result<bool> {
        let envelope: Envelope<'_> = cbor::decode(Container::parse(bundle)?.envelope)?;
        let manifest: ManifestWire<'_> = cbor::decode(envelope.payload)?;
        Ok(manifest.parts.iter().any(|part| part.format == ONNX))
    };
    format().unwrap_or(false)
}

/// Where the module is.
fn module() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let command = std::env::current_exe().unwrap_or_default();
    let near = command.ancestors().skip(1).take(2).map(|folder| folder.join(FILE));
    near.into_iter().find(|path| path.exists()).ok_or_else(|| {
        let message = format!(
            "this model is an ONNX graph, which needs {FILE}: put it beside the tollgate command, or name it with \
             {VARIABLE}"
        );
        Failure::refused("INCOMPATIBLE", message)
    })
}

/// Activates a bundle in this process, graphs aside: those run in the ONNX module.
///
/// # Errors
/// As [`Scorer::activate`].
pub fn activate(bundle: &Verified<Bundle>) -> tollgate_scorer::Result<Scorer> {
    Scorer::activate_with(bundle, &read_graph)
}

/// Reads a model part for its author: of a graph that is refused, the module says why.
///
/// # Errors
/// As [`Model::read`].
pub fn read_model(format: &str, part: &[u8]) -> Result<Model> {
    Model::read(format, part, &read_graph).map_err(|error| {
        let refused = if format == ONNX { Graph::read(part).err() } else { None };
        refused.unwrap_or_else(|| error.into())
    })
}

/// Reads a model part of the format `onnx/1`; its rows run in an instance of the ONNX module.
fn read_graph(format: &str, part: &[u8]) -> Option<tollgate_scorer::Result<Net>> {
    let run = || -> Result<Box<dyn Run>> { Ok(Box::new(Graph::read(part)?)) };
    (format == ONNX).then(|| Net::of_graph(part, |_| run().map_err(|failure| as_error(&failure))))
}

/// The core's errors have fixed phrases.
fn as_error(failure: &Failure) -> Error {
    match failure.code {
        "INCOMPATIBLE" => Error::new(
            Code::Incompatible,
            "model: needs tollgate-onnx.wasm beside the tollgate command, or named by TOLLGATE_ONNX_MODULE",
        ),
        "TRAP" => Error::new(Code::Model, "model: the graph makes the ONNX module stop"),
        "LIMIT" => Error::new(Code::Limit, "model: the graph is too large for the ONNX module"),
        _ => Error::new(Code::Model, "model: the ONNX module refuses the graph"),
    }
}

/// A graph in an instance of its own.
struct Graph {
    /// INVARIANT: borrowed within `raw` alone.
    instance: RefCell<Instance>,
    outputs: usize,
}

impl Graph {
    fn read(part: &[u8]) -> Result<Self> {
        let mut instance = Sandbox::for_graphs(Bounds { memory_bytes: 2 << 30, ..Bounds::default() })?.instance()?;
        let outputs = instance.take_graph(part)?;
        Ok(Self { instance: RefCell::new(instance), outputs })
    }
}

impl Run for Graph {
    fn raw(&self, row: &[f64], _: &mut Vec<f32>, outputs: &mut Vec<f64>) {
        let found = self.instance.borrow_mut().graph_raw(row, self.outputs);
        let nothing = || vec![f64::NAN; self.outputs];
        outputs.extend(found.unwrap_or_else(|_| nothing()));
    }
}

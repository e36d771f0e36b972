//! Where a bundle can run.

use tollgate_host::sandbox::{Bounds, Instance, LoadedBundle, Sandbox, ScoreError, activate};
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{BundleDigest, Code, Rows, Scorer, Scratch, Trust, verify};

/// One way of running the core; holds at most one bundle that serves.
pub trait Runtime {
    /// For messages.
    fn name(&self) -> &'static str;
    /// Verifies and activates; on failure, what served before still serves.
    ///
    /// # Errors
    /// The core's code.
    fn load(&mut self, bundle: &[u8], keys: &[u8], digest: Option<[u8; 32]>, now_ms: Option<u64>) -> Result<(), Code>;
    /// The decision record, or the error text `CODE: ...`.
    ///
    /// # Errors
    /// The error text.
    fn score_json(&mut self, request: &[u8]) -> Result<String, String>;
    /// The model's raw scores, or responses, all rows at once.
    fn predict(&mut self, rows: &[f64], width: usize, outputs: usize, response: bool) -> Vec<f64>;
    /// Raw scores, row by row: another way through the kernel.
    fn predict_alone(&mut self, rows: &[f64], width: usize, outputs: usize) -> Vec<f64> {
        rows.chunks(width).flat_map(|row| self.predict(row, width, outputs, false)).collect()
    }
    /// What each value contributes to each output, and behind these the expectation.
    ///
    /// # Errors
    /// The core's code.
    fn contributions(&mut self, rows: &[f64], width: usize, outputs: usize) -> Result<Vec<f64>, Code>;
}

/// Every runtime that this process can hold.
///
/// # Panics
/// When wasmtime cannot compile the module.
pub fn runtimes() -> Vec<Box<dyn Runtime>> {
    vec![Box::new(Native::default()), Box::new(Wasmtime::new(Bounds::default()))]
}

/// The core linked into this process; graphs alone run in the ONNX module.
#[derive(Default)]
pub struct Native {
    scorer: Option<Scorer>,
    counter: u64,
}

impl Runtime for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn load(&mut self, bundle: &[u8], keys: &[u8], digest: Option<[u8; 32]>, now_ms: Option<u64>) -> Result<(), Code> {
        let load = || {
            let trust = Trust { keys: TrustedKeys::parse(keys)?, expected: digest.map(BundleDigest), now_ms };
            activate(&verify(bundle, &trust)?)
        };
        self.scorer = Some(load().map_err(|error| error.code)?);
        self.counter = 0;
        Ok(())
    }

    fn score_json(&mut self, request: &[u8]) -> Result<String, String> {
        let scorer = self.scorer.as_ref().ok_or("nothing loaded")?;
        let record = scorer.score_json(request, self.counter + 1, &mut Scratch::default());
        self.counter += u64::from(record.is_ok());
        record.map_err(|error| error.to_string())
    }

    fn predict(&mut self, rows: &[f64], width: usize, _: usize, response: bool) -> Vec<f64> {
        let Some(scorer) = &self.scorer else { return Vec::new() };
        let mut scratch = Scratch::default();
        scorer.predict_rows(&Rows::by_row(rows, width), response, &mut scratch).to_vec()
    }

    fn contributions(&mut self, rows: &[f64], width: usize, _: usize) -> Result<Vec<f64>, Code> {
        let scorer = self.scorer.as_ref().ok_or(Code::Misuse)?;
        let mut scratch = Scratch::default();
        let mut all = Vec::new();
        for row in rows.chunks(width) {
            all.extend_from_slice(scorer.contributions(row, &mut scratch).map_err(|error| error.code)?);
        }
        Ok(all)
    }
}

/// `tollgate.wasm` in wasmtime.
pub struct Wasmtime {
    /// The running instance, for tests that reach into it.
    pub instance: Instance,
    /// The bundle that serves.
    pub bundle: Option<LoadedBundle>,
}

impl Wasmtime {
    /// A fresh instance.
    ///
    /// # Panics
    /// When wasmtime cannot compile the module.
    pub fn new(bounds: Bounds) -> Self {
        Self::of(Sandbox::new(bounds))
    }

    /// A fresh instance of the ONNX module, with time for its slow start.
    ///
    /// # Panics
    /// When it was not built, or wasmtime cannot compile it.
    pub fn for_graphs() -> Self {
        let bounds = Bounds { memory_bytes: 1 << 30, load_ms: 120_000, call_ms: 60_000, ..Bounds::default() };
        Self::of(Sandbox::for_graphs(bounds))
    }

    fn of(sandbox: Result<Sandbox, tollgate_host::Failure>) -> Self {
        let instance = sandbox.and_then(|sandbox| sandbox.instance());
        Self { instance: instance.unwrap_or_else(|failure| panic!("{failure}")), bundle: None }
    }
}

impl Runtime for Wasmtime {
    fn name(&self) -> &'static str {
        "wasmtime"
    }

    fn load(&mut self, bundle: &[u8], keys: &[u8], digest: Option<[u8; 32]>, now_ms: Option<u64>) -> Result<(), Code> {
        let (keys, _) = keys.as_chunks::<32>();
        match self.instance.load(bundle, keys, digest, now_ms) {
            Ok(loaded) => {
                if let Some(before) = self.bundle.replace(loaded) {
                    self.instance.unload(before).unwrap_or_else(|error| panic!("unload: {error:?}"));
                }
                Ok(())
            }
            Err(ScoreError::Refused(code, _)) => Err(code),
            Err(ScoreError::Lost(text)) => panic!("the module trapped while loading: {text}"),
        }
    }

    fn score_json(&mut self, request: &[u8]) -> Result<String, String> {
        let bundle = self.bundle.ok_or("nothing loaded")?;
        match self.instance.score_json(bundle, request) {
            Ok(record) => Ok(record),
            Err(ScoreError::Refused(_, text)) => Err(text),
            Err(ScoreError::Lost(text)) => panic!("the module trapped: {text}"),
        }
    }

    fn predict(&mut self, rows: &[f64], width: usize, outputs: usize, response: bool) -> Vec<f64> {
        let Some(bundle) = self.bundle else { return Vec::new() };
        let predicted = self.instance.predict(bundle, rows, width, outputs, response);
        predicted.unwrap_or_else(|error| panic!("predict: {error:?}"))
    }

    fn contributions(&mut self, rows: &[f64], width: usize, outputs: usize) -> Result<Vec<f64>, Code> {
        let bundle = self.bundle.ok_or(Code::Misuse)?;
        match self.instance.contributions(bundle, rows, width, outputs) {
            Ok(contributions) => Ok(contributions),
            Err(ScoreError::Refused(code, _)) => Err(code),
            Err(ScoreError::Lost(text)) => panic!("the module trapped: {text}"),
        }
    }
}

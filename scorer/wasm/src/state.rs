//! What an instance holds: loaded scorers, the last output, the last error.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use tollgate_scorer::bundle::admit;
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{
    BundleDigest, Code, Compact, Decision, Error, Event, FeatureRow, Result, Rows, Scorer, Scratch, Trust, verify,
};

/// Bundles that one instance may hold at a time.
const HANDLES: usize = 8;
/// Rows that are predicted before their results are copied out, so that these stay few.
const PART_ROWS: usize = 4096;

/// One instance's state.
pub(crate) struct Instance {
    /// Boxed: what is static is laid into each instance when it is made.
    loaded: [Option<Box<Loaded>>; HANDLES],
    /// Bytes of the last text: record, description or error.
    pub(crate) output: String,
    /// Something was called before.
    #[cfg(feature = "onnx")]
    pub(crate) started: bool,
    /// What the error of this call does not say.
    #[cfg(feature = "onnx")]
    pub(crate) why: String,
    /// The graph that an author tries out.
    #[cfg(feature = "onnx")]
    pub(crate) graph: Option<tollgate_scorer::model::Net>,
}

/// One bundle with its working memory.
struct Loaded {
    scorer: Scorer,
    scratch: Scratch,
    row: FeatureRow,
    batch: Vec<FeatureRow>,
    /// The last decision on a typed row, and its place in the log.
    last: Option<(Decision, u64)>,
    counter: u64,
}

impl Instance {
    pub(crate) const fn new() -> Self {
        Self {
            loaded: [const { None }; HANDLES],
            output: String::new(),
            #[cfg(feature = "onnx")]
            started: false,
            #[cfg(feature = "onnx")]
            why: String::new(),
            #[cfg(feature = "onnx")]
            graph: None,
        }
    }

    /// Verifies and activates a bundle in a free place; returns its handle.
    pub(crate) fn load(&mut self, file: &[u8], keys: &[u8], digest: Option<[u8; 32]>, now_ms: u64) -> Result<usize> {
        let full = Error::new(Code::Limit, "load: no free handle, unload a bundle first");
        let index = self.loaded.iter().position(Option::is_none).ok_or(full)?;
        admit(file.len())?;
        let trust = Trust {
            keys: TrustedKeys::parse(keys)?,
            expected: digest.map(BundleDigest),
            now_ms: (now_ms != 0).then_some(now_ms),
        };
        let scorer = Scorer::activate_with(&verify(file, &trust)?, &read)?;
        let row = FeatureRow::empty(scorer.schema());
        let loaded = Loaded { scorer, scratch: Scratch::default(), row, batch: Vec::new(), last: None, counter: 0 };
        if let Some(place) = self.loaded.get_mut(index) {
            *place = Some(Box::new(loaded));
        }
        Ok(index + 1)
    }

    pub(crate) fn unload(&mut self, handle: usize) -> Result<()> {
        self.loaded(handle)?;
        if let Some(place) = handle.checked_sub(1).and_then(|index| self.loaded.get_mut(index)) {
            *place = None;
        }
        Ok(())
    }

    pub(crate) fn describe(&mut self, handle: usize) -> Result<()> {
        self.output = self.loaded(handle)?.scorer.describe();
        Ok(())
    }

    /// Decides one typed row; cells beyond the given ones are missing.
    pub(crate) fn score_row(&mut self, handle: usize, values: &[f64], tags: Option<&[u8]>) -> Result<Compact> {
        self.loaded(handle)?.score_row(values, tags)
    }

    /// Decides `count` typed rows, each a full schema row.
    pub(crate) fn score_batch(
        &mut self,
        handle: usize,
        values: &[f64],
        tags: Option<&[u8]>,
        count: usize,
        mut write: impl FnMut(Compact),
    ) -> Result<()> {
        let loaded = self.loaded(handle)?;
        let width = loaded.scorer.schema().features().len();
        if values.len() != width.saturating_mul(count) {
            return Err(Error::new(Code::Misuse, "batch: rows have not one value per feature"));
        }
        let Loaded { scorer, scratch, batch, row, last, counter } = loaded;
        // The row that a record may be asked of.
        let end = *counter + count as u64;
        scorer.score_typed(values, tags, batch, scratch, |scored, decision| {
            *counter += 1;
            if *counter == end {
                row.clone_from(scored);
            }
            *last = Some((decision, *counter));
            write(decision.compact());
        })
    }

    /// Writes the record of the last decision made with `score_row` to the output.
    pub(crate) fn record(&mut self, handle: usize) -> Result<()> {
        let loaded = self.loaded(handle)?;
        let none = Error::new(Code::Misuse, "record: no row was scored yet");
        let (decision, counter) = loaded.last.ok_or(none)?;
        let event = Event { counter, ..Event::default() };
        self.output = loaded.scorer.record(&decision, &loaded.row, event, &mut loaded.scratch);
        Ok(())
    }

    /// Decides a JSON request and writes the record to the output.
    pub(crate) fn score_json(&mut self, handle: usize, json: &[u8]) -> Result<()> {
        let loaded = self.loaded(handle)?;
        let count = loaded.counter + 1;
        self.output = loaded.scorer.score_json(json, count, &mut loaded.scratch)?;
        self.loaded(handle)?.counter = count;
        Ok(())
    }

    /// Decides a JSON request and writes the explanation, with the record, to the output.
    pub(crate) fn explain_json(&mut self, handle: usize, json: &[u8]) -> Result<()> {
        let loaded = self.loaded(handle)?;
        let count = loaded.counter + 1;
        self.output = loaded.scorer.explain_json(json, count, &mut loaded.scratch)?;
        self.loaded(handle)?.counter = count;
        Ok(())
    }

    /// What the model says of rows of scored features, one after the other.
    pub(crate) fn view(
        &mut self,
        handle: usize,
        view: View,
        rows: &[f64],
        count: usize,
        mut write: impl FnMut(&[f64]),
    ) -> Result<()> {
        let Loaded { scorer, scratch, .. } = self.loaded(handle)?;
        let width = scorer.schema().scored().len();
        if rows.len() != width.saturating_mul(count) {
            return Err(Error::new(Code::Misuse, "rows have not one value per scored feature"));
        }
        match view {
            View::Predictions { response, columns } => {
                let rows = if columns { Rows::by_column(rows, count) } else { Rows::by_row(rows, width) };
                for first in (0..count).step_by(PART_ROWS) {
                    write(scorer.predict_rows(&rows.part(first, PART_ROWS), response, scratch));
                }
            }
            View::Contributions => {
                for row in rows.chunks(width) {
                    write(scorer.contributions(row, scratch)?);
                }
            }
        }
        Ok(())
    }

    /// Values in a row, values in a row that the model reads, and outputs of the model.
    pub(crate) fn shape(&mut self, handle: usize) -> Result<(usize, usize, usize)> {
        let scorer = &self.loaded(handle)?.scorer;
        Ok((scorer.schema().features().len(), scorer.schema().scored().len(), scorer.model().outputs()))
    }

    fn loaded(&mut self, handle: usize) -> Result<&mut Loaded> {
        let place = handle.checked_sub(1).and_then(|index| self.loaded.get_mut(index));
        place.and_then(Option::as_deref_mut).ok_or(Error::new(Code::Misuse, "no bundle is loaded under this handle"))
    }
}

/// Models that the core does not run itself: none here.
#[cfg(not(feature = "onnx"))]
fn read(_: &str, _: &[u8]) -> Option<Result<tollgate_scorer::model::Net>> {
    None
}

#[cfg(feature = "onnx")]
use tollgate_onnx::read;

#[cfg(feature = "onnx")]
impl Instance {
    /// Takes a model part that no bundle holds yet, for its author.
    pub(crate) fn take_graph(&mut self, part: &[u8]) -> Result<usize> {
        let none = Error::new(Code::Malformed, "model: unknown format");
        let graph = read(tollgate_scorer::model::ONNX, part).ok_or(none)?;
        let graph = graph.inspect_err(|_| self.why = tollgate_onnx::refusal(part))?;
        Ok(self.graph.insert(graph).outputs)
    }

    /// Raw scores of rows by that part.
    pub(crate) fn graph_raw(&self, rows: &[f64], count: usize) -> Result<Vec<f64>> {
        let graph = self.graph.as_ref().ok_or(Error::new(Code::Misuse, "graph: none was taken yet"))?;
        let width = graph.features.len();
        if rows.len() != width.saturating_mul(count) {
            return Err(Error::new(Code::Misuse, "rows have not one value per feature"));
        }
        let mut outputs = Vec::new();
        let mut units = Vec::new();
        rows.chunks_exact(width.max(1)).for_each(|row| graph.run.raw(row, &mut units, &mut outputs));
        Ok(outputs)
    }
}

impl Loaded {
    fn score_row(&mut self, values: &[f64], tags: Option<&[u8]>) -> Result<Compact> {
        self.row.fill_typed(self.scorer.schema(), values, tags)?;
        let decision = self.scorer.score(&self.row, &mut self.scratch);
        self.counter += 1;
        self.last = Some((decision, self.counter));
        Ok(decision.compact())
    }
}

/// What to tell about rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// What the model gives.
    Predictions {
        /// What the trainer's `predict` gives, not raw scores.
        response: bool,
        /// Values lie column by column.
        columns: bool,
    },
    /// What each feature contributes to the raw scores.
    Contributions,
}

//! What an instance holds: loaded scorers, the last output, the last error.

use alloc::string::String;
use alloc::vec::Vec;
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{
    BundleDigest, Code, Decision, Error, Event, FeatureRow, Kind, Raw, Result, Rows, Schema, Scorer, Scratch, State,
    Trust, limits, verify,
};

/// Bundles that one instance may hold at a time.
const HANDLES: usize = 8;
/// Rows that a batch checks before it scores them: what the kernel takes at once.
const BATCH_ROWS: usize = 256;
/// Rows that are predicted before their results are copied out, so that these stay few.
const PART_ROWS: usize = 16 * BATCH_ROWS;
/// A bundle and everything parsed from it stay below this many times its length.
const LOAD_FACTOR: usize = 12;
/// Memory that loading needs whatever the bundle.
const LOAD_BYTES: usize = 1 << 20;

/// The compact result of a decision, 64 bytes, little-endian; see the ABI page.
pub(crate) type Compact = [u8; 64];

/// One instance's state.
pub(crate) struct Instance {
    loaded: [Option<Loaded>; HANDLES],
    /// Bytes of the last text: record, description or error.
    pub(crate) output: String,
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
        Self { loaded: [const { None }; HANDLES], output: String::new() }
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
        let scorer = Scorer::activate(&verify(file, &trust)?)?;
        let row = FeatureRow::empty(scorer.schema());
        let loaded = Loaded { scorer, scratch: Scratch::default(), row, batch: Vec::new(), last: None, counter: 0 };
        if let Some(place) = self.loaded.get_mut(index) {
            *place = Some(loaded);
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
        for (index, values) in values.chunks(width * BATCH_ROWS).enumerate() {
            let tags = tags.and_then(|tags| tags.get(index * width * BATCH_ROWS..));
            loaded.score_rows(width, values, tags, &mut write);
        }
        Ok(())
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
        place.and_then(Option::as_mut).ok_or(Error::new(Code::Misuse, "no bundle is loaded under this handle"))
    }
}

impl Loaded {
    fn score_row(&mut self, values: &[f64], tags: Option<&[u8]>) -> Result<Compact> {
        let schema = self.scorer.schema();
        if values.len() > schema.features().len() || tags.is_some_and(|tags| tags.len() != values.len()) {
            return Err(Error::new(Code::Misuse, "row: more values than features, or not one tag a value"));
        }
        fill(&mut self.row, schema, values, tags);
        let decision = self.scorer.score(&self.row, &mut self.scratch);
        self.counter += 1;
        self.last = Some((decision, self.counter));
        Ok(compact(&decision))
    }

    /// Decides full rows of `width` values.
    fn score_rows(&mut self, width: usize, values: &[f64], tags: Option<&[u8]>, write: &mut impl FnMut(Compact)) {
        let Self { scorer, scratch, batch, row, last, counter } = self;
        let count = values.len() / width.max(1);
        batch.resize(count, FeatureRow::default());
        for (index, (row, values)) in batch.iter_mut().zip(values.chunks(width)).enumerate() {
            let tags = tags.and_then(|tags| tags.get(index * width..(index + 1) * width));
            fill(row, scorer.schema(), values, tags);
        }
        scorer.score_rows(batch, scratch, |_, decision| {
            *counter += 1;
            *last = Some((decision, *counter));
            write(compact(&decision));
        });
        if let Some(last) = batch.last() {
            row.clone_from(last);
        }
    }
}

/// Checks one typed row.
fn fill(row: &mut FeatureRow, schema: &Schema, values: &[f64], tags: Option<&[u8]>) {
    match tags {
        Some(tags) => row.fill(schema, values.iter().zip(tags).map(|(value, tag)| Raw::from_tagged(*value, *tag))),
        None => {
            let cells = values.iter().zip(schema.features());
            row.fill(schema, cells.map(|(value, feature)| untagged(*value, &feature.kind)));
        }
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

/// A cell without a tag: NaN is missing, anything else is of the feature's own type.
fn untagged(value: f64, kind: &Kind) -> Raw<'static> {
    match kind {
        _ if value.is_nan() => Raw::Without(State::Missing),
        Kind::Category(_) => Raw::Code(value),
        Kind::Boolean => Raw::from_tagged(value, 3),
        Kind::Number(_) | Kind::Integer(_) => Raw::Number(value),
    }
}

fn compact(decision: &Decision) -> Compact {
    let (margin, probability) = match decision.scored {
        Some((margin, probability)) => (margin.0, probability.get()),
        None => (f64::NAN, f64::NAN),
    };
    let costs = decision.expected_cost.map_or([f64::NAN; 3], |costs| [costs.allow, costs.challenge, costs.block]);
    let mut out = [0; 64];
    let head = [decision.action as u8, decision.source.number(), u8::from(decision.degraded()), 0];
    let stand_ins = u32::try_from(decision.stand_ins).unwrap_or(u32::MAX).to_le_bytes();
    let numbers = [margin, probability, costs[0], costs[1], costs[2]];
    let bytes = head.into_iter().chain(stand_ins).chain(numbers.into_iter().map(one_nan).flat_map(f64::to_le_bytes));
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    out
}

/// Engines may give a NaN any sign and payload; what leaves the module has one form.
pub(crate) fn one_nan(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

/// Asks for all the memory that loading may need, before anything is touched: a
/// refusal becomes an error here and not an abort half-way.
fn admit(length: usize) -> Result<()> {
    let refused = Error::new(Code::Limit, "load: not enough memory for a bundle of this size");
    if length > limits::BUNDLE_BYTES {
        return Err(Error::new(Code::Limit, "bundle: larger than any bundle may be"));
    }
    let bytes = length.saturating_mul(LOAD_FACTOR).saturating_add(LOAD_BYTES);
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes).map_err(|_| refused)
}

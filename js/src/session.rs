//! One bundle with the memory that JavaScript shares with it.

use tollgate_scorer::bundle::admit;
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{
    BundleDigest, Code, Error, FeatureRow, Raw, Request, Result, Scorer, Scratch, State, Trust, limits, one_nan, verify,
};
use wasm_bindgen::JsValue;

/// Words of a result.
const RESULT_WORDS: usize = 8;

/// What a record repeats of the call.
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) time_ms: Option<f64>,
    pub(crate) counter: f64,
    pub(crate) unknown: Vec<String>,
}

/// A value of JavaScript's.
enum Value {
    Null,
    Number(f64),
    Boolean(bool),
    Text(String),
    Other,
}

impl Value {
    fn of(value: &JsValue) -> Self {
        if value.is_null() {
            return Self::Null;
        }
        let number = value.as_f64().map(Self::Number);
        let plain = number.or_else(|| value.as_bool().map(Self::Boolean));
        plain.or_else(|| value.as_string().map(Self::Text)).unwrap_or(Self::Other)
    }

    fn raw(&self) -> Raw<'_> {
        match self {
            Self::Null => Raw::Without(State::Null),
            Self::Number(number) => Raw::Number(*number),
            Self::Boolean(flag) => Raw::Boolean(*flag),
            Self::Text(text) => Raw::Text(text),
            Self::Other => Raw::Other,
        }
    }
}

/// One bundle with its working memory.
pub(crate) struct Session {
    scorer: Scorer,
    scratch: Scratch,
    rows: Vec<FeatureRow>,
    /// JavaScript writes here between calls: a value and a tag per feature, row by row.
    values: Vec<f64>,
    tags: Vec<u8>,
    /// JavaScript reads here: results, or outputs of the model.
    results: Vec<u64>,
}

impl Session {
    pub(crate) fn load(bundle: &[u8], keys: &[u8], digest: Option<&[u8]>, now_ms: Option<f64>) -> Result<Self> {
        admit(bundle.len())?;
        let wrong = Error::new(Code::Misuse, "digest: not 32 bytes");
        let digest = digest.map(|digest| digest.try_into().map_err(|_| wrong)).transpose()?;
        let trust = Trust {
            keys: TrustedKeys::parse(keys)?,
            expected: digest.map(BundleDigest),
            now_ms: now_ms.map(|now| now as u64),
        };
        let scorer = Scorer::activate(&verify(bundle, &trust)?)?;
        let scratch = Scratch::default();
        Ok(Self { scorer, scratch, rows: Vec::new(), values: Vec::new(), tags: Vec::new(), results: Vec::new() })
    }

    pub(crate) fn describe(&self) -> String {
        self.scorer.describe()
    }

    pub(crate) fn reserve(&mut self, rows: usize) -> Result<Vec<u32>> {
        bounded(rows <= limits::BATCH_ROWS)?;
        let cells = rows.saturating_mul(self.width());
        fit(&mut self.values, cells)?;
        fit(&mut self.tags, cells)?;
        let words = rows.saturating_mul(RESULT_WORDS).max(self.scorer.model().outputs());
        fit(&mut self.results, words)?;
        let offsets = [self.values.as_ptr() as usize, self.tags.as_ptr() as usize, self.results.as_ptr() as usize];
        Ok(offsets.map(|offset| offset as u32).to_vec())
    }

    pub(crate) fn decide(&mut self, rows: usize, tagged: bool) -> usize {
        let width = self.width();
        let rows = rows.min(self.values.len() / width.max(1)).min(self.results.len() / RESULT_WORDS);
        let values = self.values.get(..rows * width).unwrap_or_default();
        let tags = self.tags.get(..rows * width).filter(|_| tagged);
        let mut places = self.results.chunks_exact_mut(RESULT_WORDS);
        let decided = self.scorer.score_typed(values, tags, &mut self.rows, &mut self.scratch, |_, decision| {
            let compact = decision.compact();
            let words = compact.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
            places.next().into_iter().flatten().zip(words).for_each(|(to, from)| *to = from);
        });
        // As many tags as values, so this cannot be misuse.
        decided.map_or(0, |()| rows)
    }

    pub(crate) fn predict(&mut self, response: bool) -> Result<usize> {
        let scored = self.scorer.schema().scored().len();
        let row = self.values.get(..scored).ok_or(UNRESERVED)?;
        let outputs = self.scorer.predict(row, response, &mut self.scratch)?;
        self.results.iter_mut().zip(outputs).for_each(|(to, output)| *to = one_nan(*output).to_bits());
        Ok(outputs.len())
    }

    pub(crate) fn read(&mut self, names: &[String], values: &[JsValue], states: &[String]) -> Result<Vec<String>> {
        // Texts are owned by what reads them out of JavaScript, so they live here meanwhile.
        let values: Vec<Value> = values.iter().map(Value::of).collect();
        let values = names.iter().zip(&values).map(|(name, value)| (name.as_str(), value.raw()));
        let pairs = states.as_chunks::<2>().0.iter().map(|[name, state]| (name.as_str(), state.as_str()));
        let request = Request::of(self.scorer.schema(), values, pairs)?;
        let cells = request.row.cells(self.scorer.schema());
        for ((value, tag), cell) in self.values.iter_mut().zip(&mut self.tags).zip(cells) {
            (*value, *tag) = cell;
        }
        Ok(request.unknown)
    }

    pub(crate) fn record(&mut self, event: Event, tagged: bool, explained: bool) -> Result<String> {
        let request = self.request(event, tagged)?;
        if explained {
            return self.scorer.explain(&request, 0, &mut self.scratch);
        }
        Ok(self.scorer.answer(&request, 0, &mut self.scratch))
    }

    /// The request that an event and the cells of the first row are together.
    fn request(&self, event: Event, tagged: bool) -> Result<Request> {
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > limits::TEXT_BYTES);
        if long(&event.id) || long(&event.correlation_id) {
            return Err(Error::new(Code::Request, "request: id is too long"));
        }
        let unknown = event.unknown.iter().map(|name| (name.as_str(), Raw::Other));
        let mut request = Request::of(self.scorer.schema(), unknown, core::iter::empty())?;
        let width = self.width();
        let (values, tags) = (self.values.get(..width).ok_or(UNRESERVED)?, self.tags.get(..width).filter(|_| tagged));
        request.row.fill_typed(self.scorer.schema(), values, tags)?;
        request.decision_id = event.id;
        request.correlation_id = event.correlation_id;
        request.event_time = event.time_ms.map(|time| time as i64);
        request.counter = Some(event.counter as u64);
        Ok(request)
    }

    fn width(&self) -> usize {
        self.scorer.schema().features().len()
    }
}

const UNRESERVED: Error = Error::new(Code::Misuse, "more rows than were reserved");

fn bounded(holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::new(Code::Limit, "batch: more rows than one call may carry")) }
}

/// Gives a vector a length, or says that memory is refused.
fn fit<T: Copy + Default>(cells: &mut Vec<T>, length: usize) -> Result<()> {
    let refused = |_| Error::new(Code::Limit, "batch: not enough memory for so many rows");
    cells.try_reserve_exact(length.saturating_sub(cells.len())).map_err(refused)?;
    cells.resize(length, T::default());
    Ok(())
}

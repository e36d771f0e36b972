//! One verified bundle, ready to decide.

use crate::ABI_VERSION;
use crate::action::Action;
use crate::bundle::{Bundle, BundleDigest, Manifest, Role, Verified};
use crate::calibrator::Calibrator;
use crate::decision::{self, Decision, Event, Setting};
use crate::error::{Code, Error, Result, ensure};
use crate::features::FeatureRow;
use crate::golden;
use crate::json::Writer;
use crate::model::{Model, Reader, Risk, Rows, Scratch};
use crate::policy::{Policy, Source};
use crate::reasons::Reasons;
use crate::request::Request;
use crate::schema::{Kind, LogMask, Schema};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Typed rows that are checked before they are scored together: what the kernel takes at once.
const ROWS_AT_ONCE: usize = 256;

/// A bundle that was verified, parsed, and passed its own golden rows.
#[derive(Debug)]
pub struct Scorer {
    manifest: Manifest,
    digest: String,
    /// The members that all records have in common.
    common: String,
    schema: Schema,
    model: Model,
    calibrator: Calibrator,
    policy: Policy,
    reasons: Reasons,
    golden_rows: usize,
    unknown_parts: usize,
}

impl Scorer {
    /// Activates a verified bundle: parse, cross-check, self-test.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, `SCHEMA`, `MODEL`, `POLICY`, `SELF_TEST`, or `INCOMPATIBLE` for a
    /// model that needs another module.
    pub fn activate(bundle: &Verified<Bundle>) -> Result<Self> {
        Self::activate_with(bundle, &|_, _| None)
    }

    /// The same, with a reader for models that the core does not run itself.
    ///
    /// # Errors
    /// As [`Scorer::activate`], and the reader's own.
    pub fn activate_with(bundle: &Verified<Bundle>, reader: Reader<'_>) -> Result<Self> {
        let schema = Schema::parse(bundle.part(Role::Schema))?;
        let model = Model::read(bundle.format(Role::Model), bundle.part(Role::Model), reader)?;
        agree(&schema, &model)?;
        let calibrator = Calibrator::parse(bundle.part(Role::Calibrator))?;
        let fits = !calibrator.reads_probability || model.link().gives_probability();
        ensure(fits, Code::Policy, "calibrator: reads a probability, which this model does not give")?;
        let policy = Policy::parse(bundle.part(Role::Policy), &schema)?;
        let reasons = Reasons::parse(bundle.part(Role::Reasons), &schema)?;
        let golden_rows = golden::check(bundle.part(Role::Golden), &model, &calibrator)?;
        let (manifest, digest) = (bundle.manifest.clone(), bundle.manifest.digest.to_string());
        Ok(Self {
            common: decision::common(&digest, &manifest.name, &manifest.version, &calibrator.version),
            digest,
            manifest,
            schema,
            model,
            calibrator,
            policy,
            reasons,
            golden_rows,
            unknown_parts: bundle.unknown_parts().count(),
        })
    }

    /// Decides for one row: the whole line a request follows.
    pub fn score(&self, row: &FeatureRow, scratch: &mut Scratch) -> Decision {
        if let Some(group) = self.policy.absent_group(row) {
            return self.fall_back(row, Source::Required(group));
        }
        let risk = self.model.risk(row.values(), scratch);
        self.decide(row, risk)
    }

    /// Decides for many rows at once, as [`Scorer::score`] does for each; `tell` is told the
    /// number of each row and its decision.
    pub fn score_rows(&self, rows: &[FeatureRow], scratch: &mut Scratch, mut tell: impl FnMut(usize, Decision)) {
        if let [row] = rows {
            return tell(0, self.score(row, scratch));
        }
        self.model.risks(rows.iter().map(FeatureRow::values), scratch, |index, risk| {
            let Some(row) = rows.get(index) else { return };
            tell(
                index,
                match self.policy.absent_group(row) {
                    Some(group) => self.fall_back(row, Source::Required(group)),
                    None => self.decide(row, risk),
                },
            );
        });
    }

    /// Decides typed rows that lie one after the other, each read as by
    /// [`FeatureRow::fill_typed`]; `tell` is told each row and its decision. `rows` is working
    /// memory.
    ///
    /// # Errors
    /// `MISUSE` when there are tags, but not one a value.
    pub fn score_typed(
        &self,
        values: &[f64],
        tags: Option<&[u8]>,
        rows: &mut Vec<FeatureRow>,
        scratch: &mut Scratch,
        mut tell: impl FnMut(&FeatureRow, Decision),
    ) -> Result<()> {
        let width = self.schema.features().len().max(1);
        let part = width * ROWS_AT_ONCE;
        for (index, values) in values.chunks(part).enumerate() {
            let tags = tags.map(|tags| tags.get(index * part..).unwrap_or_default());
            rows.resize(values.len().div_ceil(width), FeatureRow::default());
            for (index, (row, values)) in rows.iter_mut().zip(values.chunks(width)).enumerate() {
                let first = index * width;
                let tags = tags.map(|tags| tags.get(first..first + values.len()).unwrap_or_default());
                row.fill_typed(&self.schema, values, tags)?;
            }
            self.score_rows(rows, scratch, |index, decision| {
                if let Some(row) = rows.get(index) {
                    tell(row, decision);
                }
            });
        }
        Ok(())
    }

    fn decide(&self, row: &FeatureRow, Risk { margin, by_link }: Risk) -> Decision {
        let probability = self.calibrator.apply(margin, by_link);
        let ruling = self.policy.rule(&self.schema, row, probability);
        Decision {
            action: ruling.action,
            source: ruling.source,
            segment: ruling.segment,
            scored: Some((margin, probability)),
            cutoffs: ruling.cutoffs,
            expected_cost: ruling.expected_cost,
            stand_ins: row.stand_ins(),
        }
    }

    /// Scores a JSON request and writes the decision record; `count` is the counter of
    /// the record unless the request brings its own.
    ///
    /// # Errors
    /// `REQUEST` or `LIMIT` for input that is no request.
    pub fn score_json(&self, json: &[u8], count: u64, scratch: &mut Scratch) -> Result<String> {
        Ok(self.answer(&Request::parse(&self.schema, json)?, count, scratch))
    }

    /// Scores a request and writes the decision record.
    pub fn answer(&self, request: &Request, count: u64, scratch: &mut Scratch) -> String {
        let decision = self.score(&request.row, scratch);
        self.record(&decision, &request.row, event(request, count), scratch)
    }

    /// The record of a decision on a row, with the reasons where it is not to allow.
    pub fn record(&self, decision: &Decision, row: &FeatureRow, event: Event<'_>, scratch: &mut Scratch) -> String {
        let why = if decision.action == Action::Allow { Vec::new() } else { self.why(decision, row, scratch) };
        self.write_record(decision, row, event, &why)
    }

    /// Scores a JSON request as [`Scorer::score_json`] does and explains the margin: what it
    /// is on average, what each feature adds, the reasons, and the record.
    ///
    /// # Errors
    /// As [`Scorer::score_json`]; `MODEL` for a model that cannot be explained.
    pub fn explain_json(&self, json: &[u8], count: u64, scratch: &mut Scratch) -> Result<String> {
        self.explain(&Request::parse(&self.schema, json)?, count, scratch)
    }

    /// Scores a request and explains it as [`Scorer::explain_json`] does.
    ///
    /// # Errors
    /// `MODEL` for a model that cannot be explained.
    pub fn explain(&self, request: &Request, count: u64, scratch: &mut Scratch) -> Result<String> {
        let row = &request.row;
        let decision = self.score(row, scratch);
        let why = self.model.risk_contributions(row.values(), scratch)?;
        let mut json = Writer::object();
        json.number("margin", decision.scored.map(|(margin, _)| margin.0));
        json.number("expected_margin", why.last().copied());
        if self.model.approximates() {
            json.boolean("approximate", true);
        }
        json.open_list("features");
        for (index, (feature, contribution)) in self.schema.scored().iter().zip(&why).enumerate() {
            let state = row.states().get(index).copied().unwrap_or_default();
            json.open_item();
            json.text("feature", &feature.name);
            json.text("code", self.reasons.code(index));
            json.text("state", state.name());
            let value = row.values().get(index).copied();
            match (&feature.kind, value) {
                (Kind::Category(categories), Some(code)) => {
                    json.text_or_null("value", categories.names.get(code as usize).map(String::as_str));
                }
                _ => json.number("value", value),
            }
            json.number("contribution", Some(*contribution));
            json.close();
        }
        json.close_list();
        let reasons = self.reasons.rank(decision.source, &self.policy, row, &why);
        self.reasons.write(&mut json, &reasons, true, self.model.approximates());
        json.object_text("record", &self.write_record(&decision, row, event(request, count), &why));
        Ok(json.finish())
    }

    /// Per scored feature what it adds to the margin, then the expectation; nothing where
    /// nothing was scored, or the model cannot be explained.
    fn why(&self, decision: &Decision, row: &FeatureRow, scratch: &mut Scratch) -> Vec<f64> {
        let scored = decision.scored.is_some();
        let why = scored.then(|| self.model.risk_contributions(row.values(), scratch));
        why.and_then(Result::ok).unwrap_or_default()
    }

    fn write_record(&self, decision: &Decision, row: &FeatureRow, event: Event<'_>, why: &[f64]) -> String {
        let reasons = match decision.action {
            Action::Allow => Vec::new(),
            _ => self.reasons.rank(decision.source, &self.policy, row, why),
        };
        let setting = Setting {
            schema: &self.schema,
            policy: &self.policy,
            reasons: (&self.reasons, &reasons),
            approximate: self.model.approximates(),
            common: &self.common,
        };
        decision.record(setting, row, event)
    }

    /// The model's own outputs for one row of its features, schema and policy aside.
    ///
    /// # Errors
    /// `MISUSE` when the row has not one value per scored feature.
    pub fn predict<'s>(&self, row: &[f64], response: bool, scratch: &'s mut Scratch) -> Result<&'s [f64]> {
        ensure(row.len() == self.model.features().len(), Code::Misuse, "predict: wrong number of values")?;
        Ok(if response { self.model.response(row, scratch) } else { self.model.raw(row, scratch) })
    }

    /// The model's own outputs for many rows of its features, row by row.
    pub fn predict_rows<'s>(&self, rows: &Rows<'_>, response: bool, scratch: &'s mut Scratch) -> &'s [f64] {
        if response { self.model.response_rows(rows, scratch) } else { self.model.raw_rows(rows, scratch) }
    }

    /// Why a row of the model's features has its raw scores, see [`Model::contributions`].
    ///
    /// # Errors
    /// `MISUSE` as [`Scorer::predict`], `MODEL` for a model that cannot be explained.
    pub fn contributions<'s>(&self, row: &[f64], scratch: &'s mut Scratch) -> Result<&'s [f64]> {
        ensure(row.len() == self.model.features().len(), Code::Misuse, "contributions: wrong number of values")?;
        self.model.contributions(row, scratch)
    }

    /// What an embedder needs to know, as JSON: identity, features, actions, limits.
    pub fn describe(&self) -> String {
        let mut json = Writer::object();
        json.text("name", &self.manifest.name);
        json.text("version", &self.manifest.version);
        json.text("digest", &self.digest);
        json.integer_or_null("created_ms", i64::try_from(self.manifest.created_ms).ok());
        json.integer_or_null("abi", Some(i64::from(ABI_VERSION)));
        json.text("use_case", &self.policy.use_case);
        json.list("labels", self.policy.labels.iter().map(String::as_str));
        json.text("fallback_action", self.policy.fallback.name());
        json.integer_or_null("outputs", i64::try_from(self.model.outputs()).ok());
        json.integer_or_null("scored_features", i64::try_from(self.schema.scored().len()).ok());
        json.boolean("explains", self.model.explains());
        if self.model.approximates() {
            json.boolean("approximate", true);
        }
        json.integer_or_null("golden_rows", i64::try_from(self.golden_rows).ok());
        json.integer_or_null("unknown_parts", i64::try_from(self.unknown_parts).ok());
        json.open_list("features");
        for (index, feature) in self.schema.features().iter().enumerate() {
            json.open_item();
            json.text("name", &feature.name);
            json.text("kind", feature.kind.name());
            json.boolean("scored", index < self.schema.scored().len());
            if let Kind::Category(categories) = &feature.kind {
                json.list("values", categories.names.iter().map(String::as_str));
            }
            if feature.log != LogMask::Full {
                json.text("log", feature.log.name());
            }
            json.close();
        }
        json.close_list();
        json.finish()
    }

    /// Every code that a decision's reasons may have.
    pub fn reason_codes(&self) -> BTreeSet<String> {
        self.reasons.codes(&self.policy)
    }

    /// The bundle's digest.
    pub fn digest(&self) -> BundleDigest {
        self.manifest.digest
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The calibrator.
    pub fn calibrator(&self) -> &Calibrator {
        &self.calibrator
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn fall_back(&self, row: &FeatureRow, source: Source) -> Decision {
        Decision {
            action: self.policy.fallback,
            source,
            segment: None,
            scored: None,
            cutoffs: self.policy.cutoffs,
            expected_cost: None,
            stand_ins: row.stand_ins(),
        }
    }
}

/// What a record repeats of a request; `count` is the counter unless it brings its own.
fn event(request: &Request, count: u64) -> Event<'_> {
    Event {
        decision_id: request.decision_id.as_deref(),
        correlation_id: request.correlation_id.as_deref(),
        event_time: request.event_time,
        unknown: &request.unknown,
        counter: request.counter.unwrap_or(count),
    }
}

/// The model reads the schema's scored features: same names, same order.
fn agree(schema: &Schema, model: &Model) -> Result<()> {
    let (scored, read) = (schema.scored(), model.features());
    ensure(scored.len() == read.len(), Code::Schema, "schema and model: different number of features")?;
    match scored.iter().zip(read).position(|(feature, name)| feature.name != *name) {
        Some(index) => Err(Error::new(Code::Schema, "schema and model: feature names differ, feature").at(index)),
        None => Ok(()),
    }
}

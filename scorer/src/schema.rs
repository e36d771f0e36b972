//! What features exist, what values they may take, and what stands in for them.

use crate::action::Action;
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::Encode;

/// Position of a feature in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeatureId(pub usize);

/// The schema on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct SchemaWire<'b> {
    /// Features; those that the model reads come first, in its order.
    #[b(0)]
    pub features: Vec<FeatureWire<'b>>,
}

cbor::map! { SchemaWire<'b> { 0 => features } }

/// One feature on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct FeatureWire<'b> {
    /// Its name.
    #[b(0)]
    pub name: &'b str,
    /// 0 number, 1 integer, 2 boolean, 3 category.
    #[n(1)]
    pub kind: u32,
    /// Lowest allowed number.
    #[n(2)]
    pub min: Option<f64>,
    /// Highest allowed number.
    #[n(3)]
    pub max: Option<f64>,
    /// The categories; a value's position is its code.
    #[b(4)]
    pub values: Option<Vec<&'b str>>,
    /// The model reads it; else it only serves segments.
    #[n(5)]
    pub scored: bool,
    /// What stands in when there is no usable value; none means "as missing".
    #[n(6)]
    pub stand_in: Option<f64>,
    /// Strongest action while something stands in: 0 allow, 1 challenge.
    #[n(7)]
    pub at_most: u32,
    /// Weakest action while something stands in: 0 allow, 1 challenge.
    #[n(8)]
    pub at_least: u32,
    /// For people.
    #[b(9)]
    pub description: &'b str,
    /// How a host logs the value: 1 hashed, 2 truncated, 3 not at all; none means full.
    #[n(10)]
    pub log: Option<u32>,
}

cbor::map! { FeatureWire<'b> { 0 => name, 1 => kind, 2 => min or none, 3 => max or none, 4 => values or none, 5 => scored, 6 => stand_in or none, 7 => at_most, 8 => at_least, 9 => description, 10 => log or none } }

/// The type of a feature with the values it may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Any finite number in the range, ends included.
    Number(Range),
    /// A whole number in the range, ends included.
    Integer(Range),
    /// False (0) or true (1).
    Boolean,
    /// One of a list; the model sees the position.
    Category(Categories),
}

/// A closed range of finite numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lowest allowed.
    pub min: f64,
    /// Highest allowed.
    pub max: f64,
}

impl Range {
    /// Whether a number lies in the range; NaN never does.
    pub fn contains(self, number: f64) -> bool {
        self.min <= number && number <= self.max
    }
}

/// Category names and their codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Categories {
    /// By code.
    pub names: Vec<String>,
    /// Codes in the order of their names.
    sorted: Vec<usize>,
}

impl Categories {
    /// The code of a name.
    pub fn code(&self, name: &str) -> Option<usize> {
        let name_of = |code: &usize| self.names.get(*code).map_or("", String::as_str);
        let place = self.sorted.binary_search_by(|code| name_of(code).cmp(name)).ok()?;
        self.sorted.get(place).copied()
    }
}

/// What the model and the policy get when a feature has no usable value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WhenMissing {
    /// The value; NaN where the model was trained with missing values.
    pub stand_in: f64,
    /// The strongest action that may still follow. Never block.
    pub at_most: Action,
    /// The weakest action that may still follow.
    pub at_least: Action,
}

/// One feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name, unique in the schema.
    pub name: String,
    /// Its type and allowed values.
    pub kind: Kind,
    /// What happens without a usable value.
    pub when_missing: WhenMissing,
    /// For people.
    pub description: String,
    /// How a host logs the value.
    pub log: LogMask,
}

/// How a host writes a feature's value into its log. The core only tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogMask {
    /// As it is.
    #[default]
    Full,
    /// Hashed with a secret key.
    Hash,
    /// Shortened until it names nobody.
    Truncate,
    /// Not at all.
    Drop,
}

impl LogMask {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Full, Self::Hash, Self::Truncate, Self::Drop];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Hash => "hash",
            Self::Truncate => "truncate",
            Self::Drop => "drop",
        }
    }

    fn parse(number: Option<u32>) -> Option<Self> {
        // One encoding for each: full is left out.
        match number {
            None => Some(Self::Full),
            Some(0) => None,
            Some(number) => Self::ALL.get(number as usize).copied(),
        }
    }
}

/// The features of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    features: Vec<Feature>,
    by_name: BTreeMap<String, usize>,
    scored: usize,
}

impl Schema {
    /// Parses the schema part.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, or `SCHEMA` with the position of the feature.
    pub fn parse(part: &[u8]) -> Result<Self> {
        let wire: SchemaWire<'_> = cbor::decode(part)?;
        ensure(wire.features.len() <= limits::FEATURES, Code::Limit, "schema: too many features")?;
        ensure(!wire.features.is_empty(), Code::Schema, "schema: no features")?;
        let categories: usize = wire.features.iter().map(|feature| feature.values.as_ref().map_or(0, Vec::len)).sum();
        ensure(categories <= limits::CATEGORIES_TOTAL, Code::Limit, "schema: too many categories in all")?;
        let scored = wire.features.iter().take_while(|feature| feature.scored).count();
        let late = wire.features.iter().skip(scored).any(|feature| feature.scored);
        ensure(!late, Code::Schema, "schema: a scored feature stands behind one that is not")?;
        let mut features = Vec::with_capacity(wire.features.len());
        let mut by_name = BTreeMap::new();
        for (index, feature) in wire.features.iter().enumerate() {
            features.push(Feature::parse(feature).map_err(|error| error.at(index))?);
            if by_name.insert(feature.name.into(), index).is_some() {
                return Err(Error::new(Code::Schema, "schema: feature name stands twice, feature").at(index));
            }
        }
        Ok(Self { features, by_name, scored })
    }

    /// All features, in order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The features that the model reads: the first of the schema, in model order.
    pub fn scored(&self) -> &[Feature] {
        self.features.get(..self.scored).unwrap_or_default()
    }

    /// Looks a feature up by name.
    pub fn find(&self, name: &str) -> Option<FeatureId> {
        self.by_name.get(name).copied().map(FeatureId)
    }

    /// The feature at a position.
    pub fn get(&self, id: FeatureId) -> Option<&Feature> {
        self.features.get(id.0)
    }
}

impl Feature {
    fn parse(wire: &FeatureWire<'_>) -> Result<Self> {
        ensure(!wire.name.is_empty(), Code::Schema, "schema: feature without a name, feature")?;
        ensure(wire.name.len() <= limits::NAME_BYTES, Code::Limit, "schema: feature name too long, feature")?;
        ensure(wire.description.len() <= limits::TEXT_BYTES, Code::Limit, "schema: description too long, feature")?;
        let kind = Kind::parse(wire)?;
        let stand_in = wire.stand_in.unwrap_or(f64::NAN);
        let fits = wire.stand_in.is_none_or(|value| kind.allows(value));
        ensure(fits, Code::Schema, "schema: stand-in is no value the feature may take, feature")?;
        let [at_most, at_least] = [wire.at_most, wire.at_least].map(Action::from_number);
        let bounds = at_most.zip(at_least).filter(|(most, least)| least <= most && *most < Action::Block);
        let (at_most, at_least) = bounds
            .ok_or(Error::new(Code::Schema, "schema: a missing value may lead to allow or challenge, feature"))?;
        let log = LogMask::parse(wire.log).ok_or(Error::new(Code::Schema, "schema: unknown way to log, feature"))?;
        Ok(Self {
            name: wire.name.into(),
            kind,
            when_missing: WhenMissing { stand_in, at_most, at_least },
            description: wire.description.into(),
            log,
        })
    }
}

impl Kind {
    fn parse(wire: &FeatureWire<'_>) -> Result<Self> {
        let range = Range { min: wire.min.unwrap_or(f64::MIN), max: wire.max.unwrap_or(f64::MAX) };
        let finite = range.min.is_finite() && range.max.is_finite() && range.min <= range.max;
        ensure(finite, Code::Schema, "schema: range is empty or not finite, feature")?;
        let ranged = wire.min.is_some() || wire.max.is_some();
        ensure(!ranged || wire.kind <= 1, Code::Schema, "schema: range on a feature that is no number, feature")?;
        let listed = wire.values.is_some();
        ensure(listed == (wire.kind == 3), Code::Schema, "schema: values belong to categories alone, feature")?;
        match wire.kind {
            0 => Ok(Self::Number(range)),
            1 => Ok(Self::Integer(range)),
            2 => Ok(Self::Boolean),
            3 => Categories::parse(wire.values.as_deref().unwrap_or_default()).map(Self::Category),
            _ => Err(Error::new(Code::Schema, "schema: unknown kind, feature")),
        }
    }

    /// The kind's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Integer(_) => "integer",
            Self::Boolean => "boolean",
            Self::Category(_) => "category",
        }
    }

    /// Whether a number (or category code) is one that the feature may take.
    pub fn allows(&self, number: f64) -> bool {
        match self {
            Self::Number(range) => range.contains(number),
            Self::Integer(range) => range.contains(number) && is_whole(number),
            Self::Boolean => number == 0.0 || number == 1.0,
            Self::Category(categories) => is_whole(number) && number >= 0.0 && number < categories.names.len() as f64,
        }
    }
}

impl Categories {
    fn parse(values: &[&str]) -> Result<Self> {
        ensure(values.len() <= limits::CATEGORIES, Code::Limit, "schema: too many categories, feature")?;
        ensure(!values.is_empty(), Code::Schema, "schema: category without values, feature")?;
        let short = values.iter().all(|value| value.len() <= limits::NAME_BYTES);
        ensure(short, Code::Limit, "schema: category name too long, feature")?;
        // By a map, name by name: a sort is code that travels with every module.
        let mut codes = BTreeMap::new();
        for (code, name) in values.iter().enumerate() {
            ensure(codes.insert(*name, code).is_none(), Code::Schema, "schema: category stands twice, feature")?;
        }
        let sorted = codes.into_values().collect();
        Ok(Self { names: values.iter().map(|name| String::from(*name)).collect(), sorted })
    }
}

/// Whether a finite number has no fraction.
fn is_whole(number: f64) -> bool {
    libm::trunc(number) == number
}

//! Linear and logistic models, written down in TOML.

use super::Names;
use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::collections::HashMap;
use tollgate_scorer::model::Link;

/// A linear model as imported.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearSource {
    /// Feature names, in the order of addition.
    pub features: Vec<String>,
    /// What the file calls its classes.
    pub names: Names,
    /// Output by output, one weight per feature.
    pub weights: Vec<f64>,
    /// Per output: the start of its sum.
    pub intercepts: Vec<f64>,
    /// From the sums to the responses.
    pub link: Link,
    /// Inputs, products and sums are rounded to single precision.
    pub single: bool,
    /// A missing value adds nothing; else it makes the sum NaN.
    pub skip_missing: bool,
    /// Per feature, the mean that explanations compare with; empty for zeros.
    pub means: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    link: LinkName,
    #[serde(default)]
    intercept: f64,
    weights: toml::Table,
    /// Means of the training data, for explanations; zero where one is not given.
    #[serde(default)]
    means: toml::Table,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LinkName {
    Identity,
    Logistic,
    Exp,
}

/// Reads a linear model:
///
/// ```
/// let text = "link = \"logistic\"\nintercept = -1.5\n[weights]\nage_days = -0.01\nis_proxy = 2.0\n";
/// assert_eq!(tollgate_host::import::linear(text).unwrap().weights, [-0.01, 2.0]);
/// ```
///
/// # Errors
/// `MODEL` with line and field.
pub fn linear(text: &str) -> Result<LinearSource> {
    let file: File = toml::from_str(text).map_err(|error| Failure::refused("MODEL", error.to_string()))?;
    let features: Vec<String> = file.weights.keys().cloned().collect();
    let weights = numbers(&file.weights, "weight")?;
    if let Some(name) = file.means.keys().find(|name| !file.weights.contains_key(*name)) {
        return Err(Failure::refused("MODEL", format!("mean of {name}, which has no weight")));
    }
    let given: HashMap<&String, f64> = file.means.keys().zip(numbers(&file.means, "mean")?).collect();
    let means = features.iter().map(|name| given.get(name).copied().unwrap_or_default()).collect();
    let link = match file.link {
        LinkName::Identity => Link::Identity,
        LinkName::Logistic => Link::Logistic { slope: 1.0 },
        LinkName::Exp => Link::Exp,
    };
    Ok(LinearSource {
        features,
        names: Names::default(),
        weights,
        intercepts: vec![file.intercept],
        link,
        single: false,
        skip_missing: false,
        means,
    })
}

fn numbers(table: &toml::Table, what: &str) -> Result<Vec<f64>> {
    let number = |(name, value): (&String, &toml::Value)| {
        let number = value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64));
        let refused = || Failure::refused("MODEL", format!("{what} of {name} is no finite number"));
        number.filter(|number| number.is_finite()).ok_or_else(refused)
    };
    table.iter().map(number).collect()
}

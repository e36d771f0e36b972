//! Objectives: the link from margins to responses, and what `base_score` means.

use super::Version;
use super::value::{At, Value};
use crate::failure::Result;
use tollgate_scorer::model::Link;

/// XGBoost's `kRtEps`: probabilities stay this far from 0 and 1.
const EPSILON: f32 = 1e-6;

/// What a model's objective says of its margins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Objective {
    /// From margins to responses.
    pub(super) link: Link,
    base: Base,
}

/// What kind of number `base_score` is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Base {
    Margin,
    Probability,
    Mean,
}

/// The objective of a model with so many outputs.
pub(super) fn objective(learner: &At<'_>, outputs: usize, version: Version) -> Result<Objective> {
    let at = learner.get("objective")?.get("name")?;
    let logistic = Link::Logistic { slope: 1.0 };
    let (link, base) = match at.text()? {
        "reg:quantileerror" if outputs > 1 && version >= (3, 4) => {
            return Err(at.refused(
                "since XGBoost 3.4, several quantiles of a row are put in order, which is not supported; train one \
                 model each",
            ));
        }
        "reg:squarederror"
        | "reg:linear"
        | "reg:squaredlogerror"
        | "reg:pseudohubererror"
        | "reg:absoluteerror"
        | "reg:quantileerror"
        | "reg:normal"
        | "rank:pairwise"
        | "rank:ndcg"
        | "rank:map" => (Link::Identity, Base::Margin),
        "binary:logitraw" if version < (1, 3) => {
            return Err(at.refused(
                "before XGBoost 1.3, base_score of binary:logitraw was a probability, later it is a margin; \
                load the model into a newer XGBoost, set base_score there and save it again",
            ));
        }
        // Its base score is a margin, unlike that of binary:logistic.
        "binary:logitraw" => (Link::Identity, Base::Margin),
        "binary:hinge" => (Link::Hinge, Base::Margin),
        "reg:logistic" | "binary:logistic" => (logistic, Base::Probability),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => (Link::Exp, Base::Mean),
        "multi:softmax" | "multi:softprob" if outputs > 1 => (Link::Softmax, Base::Margin),
        "multi:softmax" | "multi:softprob" => return Err(at.refused("a softmax of one class")),
        "reg:expectileerror" if outputs == 1 => (Link::Identity, Base::Margin),
        "reg:expectileerror" => {
            return Err(at.refused("reg:expectileerror with several expectiles is not supported; train one model each"));
        }
        other => return Err(at.refused(format!("objective {other:?} is not supported"))),
    };
    Ok(Objective { link, base })
}

impl Objective {
    /// The margin that each output starts with, from `base_score` in any of its forms:
    /// `5E-1`, or since 3.1 a list, `[2.35E-1,4E-1]`, of which the first or one each counts.
    pub(super) fn margins(self, parameters: &At<'_>, outputs: usize) -> Result<Vec<f32>> {
        let at = parameters.get("base_score")?;
        let scores = scores(&at)?;
        let scores = match scores.as_slice() {
            [single] => vec![*single; outputs],
            several if several.len() == outputs => several.to_vec(),
            _ => return Err(at.refused(format!("{} scores for {outputs} outputs", scores.len()))),
        };
        scores.into_iter().map(|score| self.margin(score, &at)).collect()
    }

    fn margin(self, score: f32, at: &At<'_>) -> Result<f32> {
        let margin = match self.base {
            Base::Margin => score,
            Base::Probability if !(0.0..=1.0).contains(&score) => {
                return Err(at.refused(format!("{score} is no probability")));
            }
            Base::Probability => {
                let probability = score.clamp(EPSILON, 1.0 - EPSILON);
                -(1.0 / probability - 1.0).ln()
            }
            Base::Mean => score.ln(),
        };
        if margin.is_finite() { Ok(margin) } else { Err(at.refused(format!("{score} gives a margin of {margin}"))) }
    }
}

fn scores(at: &At<'_>) -> Result<Vec<f32>> {
    if let Value::Number(number) = at.value {
        return Ok(vec![*number as f32]);
    }
    let text = at.text()?.trim();
    let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let scores: Option<Vec<f32>> = list.split(',').map(|score| score.trim().parse().ok()).collect();
    scores.ok_or_else(|| at.refused(format!("{text:?} is no number and no list of numbers")))
}

//! What stands at the end of a net: its link, and which columns are given out.

use super::build::{Layers, Tensor, singles};
use crate::failure::Result;
use crate::import::onnx::op::{Constant, Op};
use crate::import::onnx::scores::Score;
use crate::import::{Names, NetOperation};
use tollgate_scorer::limits;
use tollgate_scorer::model::{Activation, Link};

/// A value behind a function that may be the model's link.
#[derive(Clone)]
pub(super) struct Linked {
    of: Tensor,
    link: Link,
    columns: Vec<Score>,
    classes: Vec<String>,
}

impl Linked {
    /// A value that is given out as it is.
    pub(super) fn plain(of: Tensor) -> Self {
        Self::new(of, Link::Identity)
    }

    pub(super) fn new(of: Tensor, link: Link) -> Self {
        let columns = (0..of.width()).map(Score::Output).collect();
        Self { of, link, columns, classes: Vec::new() }
    }

    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn named(mut self, classes: Vec<String>) -> Self {
        if classes.len() == self.columns.len() {
            self.classes = classes;
        }
        self
    }

    /// One less the value, column by column.
    pub(super) fn complement(&self) -> Option<Self> {
        let turned = self.columns.iter().map(|score| match score {
            Score::Output(output) => Some(Score::Complement(*output)),
            Score::Complement(output) => Some(Score::Output(*output)),
            Score::Negative(_) => None,
        });
        Some(Self { columns: turned.collect::<Option<_>>()?, ..self.clone() })
    }

    /// Side by side with others of the same value.
    pub(super) fn joined(parts: &[Self]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let same = rest.iter().all(|other| other.of.value == first.of.value && other.link == first.link);
        let columns = parts.iter().flat_map(|part| part.columns.iter().copied()).collect();
        same.then(|| Self { columns, classes: Vec::new(), ..first.clone() })
    }

    pub(super) fn select(&self, places: &[usize]) -> Option<Self> {
        let columns = places.iter().map(|place| self.columns.get(*place).copied()).collect::<Option<_>>()?;
        Some(Self { columns, classes: Vec::new(), ..self.clone() })
    }

    /// The same as layers, where more follows.
    pub(super) fn into_layers(self, op: &Op<'_>, layers: &mut Layers) -> Result<Tensor> {
        let activation = match self.link {
            Link::Logistic { .. } => Activation::Sigmoid,
            Link::Softmax => Activation::Softmax,
            _ => Activation::None,
        };
        let active = layers.activate(&self.of, false, activation, 0.0);
        let plain = self.columns.iter().enumerate().all(|(index, score)| *score == Score::Output(index));
        if plain && self.columns.len() == active.width() {
            return Ok(active);
        }
        let (mut places, mut shift, mut scale) = (vec![], vec![], vec![]);
        for score in &self.columns {
            let (place, line) = match score {
                Score::Output(output) => (output, (0.0, 1.0)),
                Score::Complement(output) => (output, (-1.0, -1.0)),
                Score::Negative(_) => return Err(op.refused("works on negative scores")),
            };
            places.push(*place as u32);
            shift.push(line.0);
            scale.push(line.1);
        }
        let picked = layers.push(NetOperation::Pick(places), vec![active.value], self.columns.len());
        Ok(layers.affine(&picked, false, &shift, &scale))
    }

    pub(super) fn names(&self) -> Names {
        let pair = [Score::Complement(0), Score::Output(0)];
        let told = self.columns == pair || self.columns.iter().all(|score| matches!(score, Score::Output(_)));
        Names {
            classes: if told && self.classes.len() > 1 { self.classes.clone() } else { vec![] },
            ..Names::default()
        }
    }

    /// Makes the raw scores the last layer; their link and how many they are.
    pub(super) fn close(&self, layers: &mut Layers) -> Result<(Link, usize), String> {
        let kept = self.columns.iter().filter_map(|score| if let Score::Output(at) = score { Some(*at) } else { None });
        let kept: Vec<usize> = kept.collect();
        let covered = self.columns.iter().all(|score| match score {
            Score::Output(at) | Score::Complement(at) | Score::Negative(at) => kept.contains(at),
        });
        if !covered || kept.is_empty() {
            return Err("gives only the score of the other class; give out the positive class or both".into());
        }
        let all = kept.iter().copied().eq(0..self.of.width());
        if !all && self.link == Link::Softmax {
            return Err("gives out some classes of a softmax; give out all of them".into());
        }
        if kept.len() > limits::OUTPUTS {
            return Err(format!("has more than {} numbers", limits::OUTPUTS));
        }
        if !all || self.of.value as usize != layers.list.len() || self.of.value == 0 {
            let places = kept.iter().map(|place| *place as u32).collect();
            layers.push(NetOperation::Pick(places), vec![self.of.value], kept.len());
        }
        Ok((self.link, kept.len()))
    }
}

/// Whether a constant is all ones.
pub(super) fn is_one(op: &Op<'_>, constant: &Constant) -> Result<bool> {
    Ok(singles(op, constant)?.iter().all(|value| *value == 1.0))
}

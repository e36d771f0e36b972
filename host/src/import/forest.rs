//! Trees as a trainer sees them, before they are put into a bundle.

use super::Names;
use std::collections::BTreeSet;
use tollgate_scorer::model::Link;
use tollgate_scorer::model::forest::{Aggregate, Input, Missing};

/// A forest as imported.
#[derive(Clone, Debug)]
pub struct ForestSource {
    /// Feature names, in model order.
    pub features: Vec<String>,
    /// What the file calls its classes.
    pub names: Names,
    /// Raw scores per row; tree t adds to output t mod outputs.
    pub outputs: usize,
    /// From raw scores to responses.
    pub link: Link,
    /// Random forests: responses are sums divided by this many iterations.
    pub averaged_over: Option<u32>,
    /// What happens to values before they are compared.
    pub input: Input,
    /// How the leaves of a row come together.
    pub aggregate: Aggregate,
    /// Per output, what the sum starts with; empty for zeros.
    pub start: Vec<f64>,
    /// Per output, what is added after the last leaf; empty for zeros.
    pub offset: Vec<f64>,
    /// The trees, in the order in which their leaves are added.
    pub trees: Vec<Tree>,
    /// The trainer's monotone constraints: -1, 0, 1 per feature.
    pub monotone: Option<Vec<i8>>,
}

/// A tree; its root is the first node.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Nodes; children lie behind their parent.
    pub nodes: Vec<Node>,
}

/// One node.
#[derive(Clone, Debug)]
pub enum Node {
    /// A split.
    Split(Split),
    /// A leaf.
    Leaf {
        /// What it adds.
        value: f64,
        /// Its number in the trainer's tree.
        number: usize,
        /// The linear function that replaces the value where there is one.
        function: Option<LeafFunction>,
        /// How much training data reached it: rows or their weights; none when unknown.
        cover: Option<f64>,
    },
}

/// A test with two children, by position in the tree.
#[derive(Clone, Debug)]
pub struct Split {
    /// Position of the feature.
    pub feature: usize,
    /// The test; left where it holds.
    pub test: Test,
    /// Position of the left child.
    pub left: usize,
    /// Position of the right child.
    pub right: usize,
}

/// How a feature is tested.
#[derive(Clone, Debug)]
pub enum Test {
    /// value <= threshold.
    AtMost {
        /// The threshold.
        threshold: f64,
        /// What counts as missing.
        missing: Missing,
        /// Missing goes left.
        default_left: bool,
    },
    /// The value, truncated to an integer, is one of these. Under [`Input::Single`]
    /// nothing below zero is.
    In {
        /// The categories.
        set: CategorySet,
        /// Missing values (NaN) go left, as if they were in the set.
        missing_left: bool,
    },
    /// The value equals one of these numbers.
    OneOf {
        /// The numbers, none of them NaN.
        numbers: Vec<f64>,
        /// Missing values (NaN) go left, as if they were among them.
        missing_left: bool,
    },
}

/// A set of category codes.
pub type CategorySet = BTreeSet<u32>;

/// constant + sum of weight x feature.
#[derive(Clone, Debug, PartialEq)]
pub struct LeafFunction {
    /// The constant.
    pub constant: f64,
    /// Feature and weight, in the order of addition.
    pub terms: Vec<(usize, f64)>,
}

impl ForestSource {
    /// The same trees, telling for each the trainer's number of the leaf instead of
    /// its value: one output a tree.
    #[must_use]
    pub fn into_leaf_numbers(mut self) -> Self {
        self.outputs = self.trees.len();
        self.link = Link::Identity;
        self.averaged_over = None;
        (self.aggregate, self.start, self.offset) = (Aggregate::Sum, Vec::new(), Vec::new());
        for node in self.trees.iter_mut().flat_map(|tree| &mut tree.nodes) {
            if let Node::Leaf { value, number, function, .. } = node {
                (*value, *function) = (*number as f64, None);
            }
        }
        self
    }

    /// Features that some split tests as categories.
    pub fn categorical(&self) -> BTreeSet<usize> {
        let nodes = self.trees.iter().flat_map(|tree| &tree.nodes);
        let splits = nodes.filter_map(|node| match node {
            Node::Split(Split { feature, test: Test::In { .. }, .. }) => Some(*feature),
            _ => None,
        });
        splits.collect()
    }
}

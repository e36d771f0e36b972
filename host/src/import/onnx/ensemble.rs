//! Ensembles of trees, whatever version of the operator they come from, and their way to
//! a forest: shared nodes are unfolded, and a tree that scores several targets becomes
//! one tree for each.

use super::column::Column;
use super::op::{Op, refused};
use super::region::{Chain, Mode, Region};
use crate::failure::Result;
use crate::import::{ForestSource, Names, Node, Split, Test, Tree};
use std::collections::BTreeSet;
use std::rc::Rc;
use tollgate_scorer::limits;
use tollgate_scorer::model::Link;
use tollgate_scorer::model::forest::{Aggregate, Input, Missing};

/// Where an edge leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Branch(usize),
    Leaf(usize),
}

/// A node with two children.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub column: usize,
    pub mode: Mode,
    pub threshold: f64,
    /// Missing values go where the test holds.
    pub missing_true: bool,
    pub yes: Place,
    pub no: Place,
}

/// A leaf with its weights by target.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    pub number: usize,
    pub weights: Vec<(usize, f64)>,
}

/// How leaves come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Together {
    Sum,
    Average,
    Least,
    Greatest,
}

/// Trees as graphs.
#[derive(Clone, Debug, Default)]
pub(super) struct Ensemble {
    pub branches: Vec<Branch>,
    pub leaves: Vec<Leaf>,
    pub roots: Vec<Place>,
    pub targets: usize,
    /// Per target, added last; or empty.
    pub base: Vec<f64>,
}

/// What a forest reads its values from.
pub(super) struct Ground<'c> {
    pub names: Rc<Vec<String>>,
    pub columns: &'c [Column],
    pub input: Input,
    /// Values are compared and added in double precision.
    pub double: bool,
}

impl Ensemble {
    /// The forest, with one output a target.
    pub(super) fn forest(&self, op: &Op<'_>, ground: &Ground<'_>, together: Together) -> Result<ForestSource> {
        if self.targets == 0 || self.targets > limits::OUTPUTS {
            let message = format!("{} targets; 1 to {} are supported", self.targets, limits::OUTPUTS);
            return Err(op.refused(message));
        }
        op.length("base_values", self.base.len(), if self.base.is_empty() { 0 } else { self.targets })?;
        if self.roots.is_empty() {
            return Err(op.refused("has no trees"));
        }
        self.check_acyclic(op)?;
        self.check_finite(op)?;
        if matches!(together, Together::Least | Together::Greatest) && !self.base.is_empty() {
            return self.with_base_in_leaves(ground.double).forest(op, ground, together);
        }
        let grower = Grower { op, ensemble: self, chains: self.chains(op, ground)?, nodes: std::cell::Cell::new(0) };
        let mut per_target: Vec<Vec<Tree>> = vec![Vec::new(); self.targets];
        for root in &self.roots {
            for target in self.scored_by(*root) {
                let list = per_target.get_mut(target).ok_or_else(|| op.refused(format!("no target {target}")))?;
                list.push(grower.tree(*root, target, together)?);
            }
        }
        let roots = u32::try_from(self.roots.len()).unwrap_or(u32::MAX);
        let averaged_over = (together == Together::Average).then_some(roots);
        let times = averaged_over.map_or(1.0, f64::from);
        let plain = self.base.iter().all(|base| *base == 0.0);
        Ok(ForestSource {
            features: ground.names.to_vec(),
            names: Names::default(),
            outputs: self.targets,
            link: Link::Identity,
            averaged_over,
            input: ground.input,
            aggregate: aggregate(together, ground.double),
            start: Vec::new(),
            offset: if plain { Vec::new() } else { self.base.iter().map(|base| base * times).collect() },
            trees: interleave(op, per_target, together)?,
            monotone: None,
        })
    }

    /// Rounding keeps the order of numbers, so what is added to the least leaf may as well
    /// be added to all of them.
    fn with_base_in_leaves(&self, double: bool) -> Self {
        let mut moved = Self { base: vec![], ..self.clone() };
        for (target, weight) in moved.leaves.iter_mut().flat_map(|leaf| &mut leaf.weights) {
            let base = self.base.get(*target).copied().unwrap_or(0.0);
            *weight = if double { *weight + base } else { f64::from(*weight as f32 + base as f32) };
        }
        moved
    }

    fn chains(&self, op: &Op<'_>, ground: &Ground<'_>) -> Result<Vec<(usize, Chain)>> {
        let mut chains = Vec::with_capacity(self.branches.len());
        for branch in &self.branches {
            let column = ground.columns.get(branch.column).ok_or_else(|| {
                op.refused(format!("a node reads column {} of {}", branch.column, ground.columns.len()))
            })?;
            let column = if ground.double { column.clone() } else { column.single() };
            let region = Region::of(&branch.mode, branch.threshold, branch.missing_true, &column);
            chains.push((column.feature, region.chain(&column)));
        }
        Ok(chains)
    }

    fn children(&self, place: Place) -> Option<(Place, Place)> {
        match place {
            Place::Leaf(_) => None,
            Place::Branch(index) => self.branches.get(index).map(|branch| (branch.yes, branch.no)),
        }
    }

    /// Fails on a node that is its own descendant, and on a node or leaf that no root leads to.
    fn check_acyclic(&self, op: &Op<'_>) -> Result<()> {
        // 0 unseen, 1 on the way down, 2 done.
        let mut state = vec![0u8; self.branches.len()];
        let mut reached = vec![false; self.leaves.len()];
        let mut waiting: Vec<(Place, bool)> = self.roots.iter().map(|root| (*root, false)).collect();
        while let Some((place, leaving)) = waiting.pop() {
            let index = match place {
                Place::Branch(index) => index,
                Place::Leaf(leaf) => {
                    let leaf = reached.get_mut(leaf).ok_or_else(|| op.refused(format!("no leaf {leaf}")))?;
                    *leaf = true;
                    continue;
                }
            };
            let node = state.get_mut(index).ok_or_else(|| op.refused(format!("no node {index}")))?;
            match (leaving, *node) {
                (true, _) => *node = 2,
                (false, 0) => {
                    *node = 1;
                    waiting.push((place, true));
                    if let Some((yes, no)) = self.children(place) {
                        waiting.extend([(yes, false), (no, false)]);
                    }
                }
                (false, 1) => return Err(op.refused(format!("branch {index} is its own descendant, a cycle"))),
                (false, _) => {}
            }
        }
        match state.iter().position(|node| *node == 0) {
            Some(lost) => Err(op.refused(format!("branch {lost} belongs to no tree: no root leads to it"))),
            None if !reached.iter().all(|reached| *reached) => Err(op.refused("a leaf belongs to no tree")),
            None => Ok(()),
        }
    }

    fn check_finite(&self, op: &Op<'_>) -> Result<()> {
        let weights = self.leaves.iter().flat_map(|leaf| leaf.weights.iter().map(|weight| weight.1));
        match weights.chain(self.base.iter().copied()).find(|number| !number.is_finite()) {
            Some(number) => Err(op.refused(format!("has the weight or base value {number}; only finite ones count"))),
            None => Ok(()),
        }
    }

    /// Targets with a weight somewhere in a tree.
    fn scored_by(&self, root: Place) -> BTreeSet<usize> {
        let mut targets = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![root];
        while let Some(place) = waiting.pop() {
            match place {
                Place::Leaf(leaf) => {
                    targets.extend(self.leaves.get(leaf).iter().flat_map(|leaf| &leaf.weights).map(|weight| weight.0));
                }
                Place::Branch(index) if seen.insert(index) => {
                    waiting.extend(self.children(place).iter().flat_map(|(yes, no)| [*yes, *no]));
                }
                Place::Branch(_) => {}
            }
        }
        targets
    }
}

fn aggregate(together: Together, double: bool) -> Aggregate {
    match together {
        Together::Sum | Together::Average if double => Aggregate::Sum,
        Together::Sum | Together::Average => Aggregate::SingleSum,
        Together::Least => Aggregate::Least,
        Together::Greatest => Aggregate::Greatest,
    }
}

/// Tree t of the result adds to output t mod outputs; targets with fewer trees get leaves
/// that change nothing.
fn interleave(op: &Op<'_>, per_target: Vec<Vec<Tree>>, together: Together) -> Result<Vec<Tree>> {
    let rounds = per_target.iter().map(Vec::len).max().unwrap_or(0).max(1);
    if rounds.saturating_mul(per_target.len()) > limits::TREES {
        let message = format!("{rounds} trees for {} targets, more than {}", per_target.len(), limits::TREES);
        return Err(op.refused(message));
    }
    let value = match together {
        // Adding -0 changes no sum, not even one that is -0.
        Together::Sum | Together::Average => -0.0,
        Together::Least => f64::MAX,
        Together::Greatest => f64::MIN,
    };
    if matches!(together, Together::Least | Together::Greatest) && per_target.iter().any(Vec::is_empty) {
        return Err(op.refused("a target has no weights; MIN and MAX need one for each"));
    }
    let filler = Tree { nodes: vec![leaf(value, 0)] };
    let mut lists: Vec<_> = per_target.into_iter().map(Vec::into_iter).collect();
    let mut trees = Vec::new();
    for _ in 0..rounds {
        trees.extend(lists.iter_mut().map(|list| list.next().unwrap_or_else(|| filler.clone())));
    }
    Ok(trees)
}

fn leaf(value: f64, number: usize) -> Node {
    Node::Leaf { value, number, function: None, cover: None }
}

/// How much of the bound a node takes: long lists of numbers are copied with it.
fn weight(node: &Node) -> usize {
    match node {
        Node::Split(Split { test: Test::OneOf { numbers, .. }, .. }) => 1 + numbers.len() / 8,
        _ => 1,
    }
}

/// Unfolds graphs to trees, within a total.
struct Grower<'e> {
    op: &'e Op<'e>,
    ensemble: &'e Ensemble,
    /// Per branch: the feature and the tests to make.
    chains: Vec<(usize, Chain)>,
    nodes: std::cell::Cell<usize>,
}

/// A part of a tree still to be written.
#[derive(Clone, Copy)]
enum Pending {
    At(Place),
    /// Test number so-and-so of a branch.
    Test(usize, usize),
}

/// The child that a pending part becomes.
#[derive(Clone, Copy)]
struct Hook {
    parent: usize,
    left: bool,
}

impl Grower<'_> {
    fn tree(&self, root: Place, target: usize, together: Together) -> Result<Tree> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut leaves = 0;
        let mut waiting: Vec<(Pending, Option<Hook>)> = vec![(Pending::At(root), None)];
        while let Some((pending, hook)) = waiting.pop() {
            let (branch, number) = match pending {
                Pending::At(Place::Branch(branch)) => (branch, 0),
                Pending::Test(branch, number) => (branch, number),
                Pending::At(Place::Leaf(index)) => {
                    leaves += 1;
                    let node = self.leaf(index, target, together)?;
                    self.push(&mut nodes, node, hook, leaves)?;
                    continue;
                }
            };
            let missing = || refused(format!("no node {branch}"));
            let (feature, chain) = self.chains.get(branch).ok_or_else(missing)?;
            let (yes, no) = self.ensemble.children(Place::Branch(branch)).ok_or_else(missing)?;
            let side = |holds: bool| Pending::At(if holds { yes } else { no });
            let Some((test, holds)) = chain.tests.get(number) else {
                waiting.push((side(chain.last), hook));
                continue;
            };
            let parent = nodes.len();
            let split = Split { feature: *feature, test: test.clone(), left: 0, right: 0 };
            self.push(&mut nodes, Node::Split(split), hook, leaves)?;
            waiting.push((Pending::Test(branch, number + 1), Some(Hook { parent, left: false })));
            waiting.push((side(*holds), Some(Hook { parent, left: true })));
        }
        Ok(Tree { nodes })
    }

    fn push(&self, nodes: &mut Vec<Node>, node: Node, hook: Option<Hook>, leaves: usize) -> Result<()> {
        let total = self.nodes.get() + weight(&node);
        if total > limits::NODES || leaves > limits::LEAVES_PER_TREE {
            let message = "unfolds to more nodes than a forest may have; shared nodes and tests that need several splits multiply";
            return Err(self.op.refused(message));
        }
        self.nodes.set(total);
        let place = nodes.len();
        if let Some(Hook { parent, left }) = hook
            && let Some(Node::Split(split)) = nodes.get_mut(parent)
        {
            if left {
                split.left = place;
            } else {
                split.right = place;
            }
        }
        nodes.push(node);
        Ok(())
    }

    fn leaf(&self, index: usize, target: usize, together: Together) -> Result<Node> {
        let found = self.ensemble.leaves.get(index).ok_or_else(|| self.op.refused(format!("no leaf {index}")))?;
        match found.weights.iter().find(|weight| weight.0 == target) {
            Some((_, value)) => Ok(leaf(*value, found.number)),
            None if matches!(together, Together::Least | Together::Greatest) => Err(self
                .op
                .refused(format!("leaf {} has no weight for target {target}; MIN and MAX need one", found.number))),
            None => Ok(leaf(-0.0, found.number)),
        }
    }
}

/// A split off missing values, which go right.
pub(super) fn present() -> Test {
    Test::AtMost { threshold: f64::INFINITY, missing: Missing::Nan, default_left: false }
}

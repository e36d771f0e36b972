//! In which order the nodes of some trees are gone through.

use alloc::vec::Vec;

/// What a node is to a walk.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A turn on a feature that its way has not met.
    First,
    /// A turn on a feature that its way has met.
    Repeat,
    /// A turn of the first kind above two leaves.
    Last,
    Leaf,
}

/// Turns level by level, so that neighbours do not wait for each other's numbers, and in a
/// level by kind, so that a walk seldom changes its branch; last turns, roots first; and the
/// leaves that are not below last turns.
#[inline]
pub(super) fn order(
    roots: &[usize],
    kind: impl Fn(usize) -> Kind,
    children: impl Fn(usize) -> Option<[usize; 2]>,
) -> [Vec<usize>; 3] {
    let (mut turns, mut lasts, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    let mut level = roots.to_vec();
    while !level.is_empty() {
        let (mut here, mut repeats) = (Vec::new(), Vec::new());
        for at in level {
            match kind(at) {
                Kind::First => here.push(at),
                Kind::Repeat => repeats.push(at),
                Kind::Last => lasts.push(at),
                Kind::Leaf => leaves.push(at),
            }
        }
        here.append(&mut repeats);
        level = here.iter().filter_map(|at| children(*at)).flatten().collect();
        turns.append(&mut here);
    }
    [turns, lasts, leaves]
}

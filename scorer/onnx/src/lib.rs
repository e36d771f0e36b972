//! Neural nets as ONNX graphs, run by tract.
//!
//! The graph is read, checked against limits and optimised once, when a bundle is activated;
//! every row goes through that plan. Rows go one by one, alone or in a batch, so that both
//! have the same bits. What tract refuses is refused here; a graph that makes it panic or
//! grow without bound ends in a trap of the module, which the host recovers from.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod check;
mod dense;
mod graph;
mod prepare;
#[cfg(test)]
mod tests;

use graph::{Graph, Refusal};
use tollgate_scorer::Result;
use tollgate_scorer::model::{Net, ONNX, Run};

/// Reads models of the format `onnx/1`, for `Scorer::activate_with`.
///
/// ```
/// assert!(tollgate_onnx::read("forest/1", &[]).is_none());
/// assert!(tollgate_onnx::read("onnx/1", &[]).unwrap().is_err());
/// ```
pub fn read(format: &str, part: &[u8]) -> Option<Result<Net>> {
    (format == ONNX)
        .then(|| Net::of_graph(part, |wire| Ok(boxed(Graph::read(wire).map_err(|refusal| refusal.error())?))))
}

/// Bytes of tract's words that are passed on.
const WORDS: usize = 1000;

/// What tract says of a graph that it refuses, for authors; nothing where it is not tract that
/// refuses it.
pub fn refusal(part: &[u8]) -> String {
    let mut words = String::new();
    let _ = Net::of_graph(part, |wire| {
        Graph::read(wire).map(boxed).map_err(|refusal| {
            if let Refusal::Tract(error) = &refusal {
                words = format!(": {error:#}").chars().filter(|letter| !letter.is_control()).take(WORDS).collect();
            }
            refusal.error()
        })
    });
    words
}

fn boxed(graph: Graph) -> Box<dyn Run> {
    Box::new(graph)
}

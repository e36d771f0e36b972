//! Which classes of a model are the risk.

use super::source::{ClassName, ModelSource};
use crate::failure::{Failure, Result};
use crate::import::Source;

/// Positions of the outputs that are the risk; none for a model with one output.
///
/// # Errors
/// `SOURCE` naming the classes there are.
pub fn risk(model: &Source, wanted: &ModelSource) -> Result<Vec<u32>> {
    if !wanted.risk_classes.is_empty() && !wanted.risk_outputs.is_empty() {
        return Err(refused("give model.risk_classes or model.risk_outputs, not both"));
    }
    let classes = classes(model, wanted)?;
    let outputs = model.outputs();
    if wanted.risk_classes.is_empty() {
        if outputs > 1 && wanted.risk_outputs.is_empty() {
            let message = format!(
                "the model has {outputs} outputs: name the risky ones, model.risk_classes = [..]; {}",
                there_are(&classes)
            );
            return Err(refused(message));
        }
        return Ok(if outputs == 1 { Vec::new() } else { in_order(wanted.risk_outputs.clone()) });
    }
    let positions = positions(&classes, &wanted.risk_classes)?;
    match (outputs, positions.as_slice()) {
        (1, [1]) => Ok(Vec::new()),
        (1, _) => {
            let message = "model.risk_classes: a model of two classes scores the second one; train it with the risk \
                           as the second class";
            Err(refused(format!("{message}; {}", there_are(&classes))))
        }
        _ => Ok(in_order(positions)),
    }
}

/// The order of addition is that of the model, however the author lists them.
fn in_order(mut positions: Vec<u32>) -> Vec<u32> {
    positions.sort_unstable();
    positions
}

/// The names: the file's own, or those that the author gives where the file has none.
fn classes(model: &Source, wanted: &ModelSource) -> Result<Vec<String>> {
    let found = model.classes();
    if wanted.classes.is_empty() {
        return Ok(found);
    }
    let given: Vec<String> = wanted.classes.iter().map(ToString::to_string).collect();
    if given.len() != found.len() {
        let message = format!("model.classes has {} names, the model {} classes", given.len(), found.len());
        return Err(refused(message));
    }
    if let Some(twice) = given.iter().enumerate().find(|(at, name)| given.iter().take(*at).any(|other| other == *name))
    {
        return Err(refused(format!("model.classes names {:?} twice", twice.1)));
    }
    if model.names_classes() && given != found {
        return Err(refused(format!("model.classes are not those of the model file; {}", there_are(&found))));
    }
    Ok(given)
}

fn positions(classes: &[String], risky: &[ClassName]) -> Result<Vec<u32>> {
    let mut positions = Vec::with_capacity(risky.len());
    for name in risky.iter().map(ToString::to_string) {
        let found = classes.iter().position(|class| *class == name);
        let position = found.ok_or_else(|| {
            refused(format!("model.risk_classes: the model has no class {name:?}; {}", there_are(classes)))
        })?;
        if positions.contains(&(position as u32)) {
            return Err(refused(format!("model.risk_classes names {name:?} twice")));
        }
        positions.push(position as u32);
    }
    if positions.len() == classes.len() {
        return Err(refused("model.risk_classes names every class: the risk would always be 1"));
    }
    Ok(positions)
}

fn there_are(classes: &[String]) -> String {
    const SHOWN: usize = 50;
    if classes.is_empty() {
        return "it has no classes".into();
    }
    let shown: Vec<String> = classes.iter().take(SHOWN).map(|class| format!("{class:?}")).collect();
    let more = if classes.len() > SHOWN { ", .." } else { "" };
    format!("its classes are {}{more}", shown.join(", "))
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::refused("SOURCE", message)
}

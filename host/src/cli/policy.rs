//! `tollgate policy derive`: costs in, cut-offs and their sensitivity out.

use super::bundle::cutoffs_json;
use super::output::{self, Output};
use crate::author::{BundleSource, CostsSource};
use crate::failure::{Failure, Result};
use crate::table::Table;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use tollgate_scorer::{Action, CostMatrix, CutOffs, Probability};

/// How far each cost is moved to show what the cut-offs depend on.
const NUDGE: f64 = 0.10;

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Derive cut-offs from what mistakes and challenges cost.
    ///
    /// With p the probability of bad: allowing costs pF, challenging
    /// c + (1-p)(1-k)L + pqF, blocking (1-p)P. The cut-offs are where the cheapest action
    /// changes. Costs come as options, or from a bundle.toml.
    Derive(Derive),
}

#[derive(Args)]
pub(super) struct Derive {
    /// Take the costs from this bundle.toml.
    #[arg(long, value_name = "BUNDLE_TOML", conflicts_with_all = ["false_negative", "false_block"])]
    from: Option<PathBuf>,
    /// F: a bad one let through.
    #[arg(long, value_name = "F", required_unless_present = "from")]
    false_negative: Option<f64>,
    /// P: a good one blocked.
    #[arg(long, value_name = "P", required_unless_present = "from")]
    false_block: Option<f64>,
    /// c: showing one challenge.
    #[arg(long, value_name = "C", required_unless_present = "from")]
    challenge: Option<f64>,
    /// k: share of good users who complete a challenge.
    #[arg(long, value_name = "K", required_unless_present = "from")]
    completion: Option<f64>,
    /// L: a good user lost in a challenge.
    #[arg(long, value_name = "L", required_unless_present = "from")]
    lost_user: Option<f64>,
    /// q: share of bad ones who pass a challenge.
    #[arg(long, value_name = "Q", required_unless_present = "from")]
    abuser_pass: Option<f64>,
    /// CSV with columns probability and label: what the cut-offs would have done.
    #[arg(long)]
    labelled: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl PolicyCommand {
    pub(super) fn run(&self) -> Result<()> {
        let Self::Derive(derive) = self;
        derive.run()
    }
}

impl Derive {
    fn run(&self) -> Result<()> {
        let costs = self.costs()?;
        let invalid = "amounts must not be negative, shares lie between 0 and 1, F and P must cost something";
        let cutoffs = costs.cutoffs().ok_or_else(|| Failure::refused("POLICY", invalid))?;
        let sensitivity = sensitivity(costs);
        let labelled = self.labelled.as_ref().map(|path| backtest(&Table::read(path)?, costs, cutoffs)).transpose()?;
        let result = json!({
            "cutoffs": cutoffs_json(cutoffs),
            "challenge_pays": matches!(cutoffs, CutOffs::ThreeWay { .. }),
            "sensitivity": sensitivity,
            "labelled": labelled,
        });
        if self.json || !output::on_terminal() {
            return output::facts(true, &result);
        }
        for_people(cutoffs, &result)
    }

    fn costs(&self) -> Result<CostMatrix> {
        if let Some(path) = &self.from {
            let none = || Failure::refused("SOURCE", format!("{}: no [policy.costs]", path.display()));
            return Ok(BundleSource::read(path)?.policy.costs.ok_or_else(none)?.matrix());
        }
        let given = |value: Option<f64>| value.ok_or_else(|| Failure::usage("all six costs are needed"));
        Ok(CostsSource {
            false_negative: given(self.false_negative)?,
            false_block: given(self.false_block)?,
            challenge: given(self.challenge)?,
            completion: given(self.completion)?,
            lost_user: given(self.lost_user)?,
            abuser_pass: given(self.abuser_pass)?,
        }
        .matrix())
    }
}

/// The cut-offs with each cost a tenth lower and higher.
fn sensitivity(costs: CostMatrix) -> Vec<Value> {
    type Member = (&'static str, fn(&mut CostMatrix) -> &mut f64);
    let members: [Member; 6] = [
        ("false_negative", |c| &mut c.false_negative),
        ("false_block", |c| &mut c.false_block),
        ("challenge", |c| &mut c.challenge),
        ("completion", |c| &mut c.completion),
        ("lost_user", |c| &mut c.lost_user),
        ("abuser_pass", |c| &mut c.abuser_pass),
    ];
    let nudged = |member: &Member, factor: f64| {
        let mut moved = costs;
        let value = (member.1)(&mut moved);
        *value *= factor;
        if matches!(member.0, "completion" | "abuser_pass") {
            *value = value.min(1.0);
        }
        moved.cutoffs().map(cutoffs_json)
    };
    let entries = members.iter().map(|member| {
        let mut base = costs;
        json!({
            "cost": member.0,
            "value": *(member.1)(&mut base),
            "lower": nudged(member, 1.0 - NUDGE),
            "higher": nudged(member, 1.0 + NUDGE),
        })
    });
    entries.collect()
}

/// What the cut-offs would have done to labelled cases, and at what cost.
fn backtest(table: &Table, costs: CostMatrix, cutoffs: CutOffs) -> Result<Value> {
    let (probabilities, labels) = (table.numbers("probability")?, table.numbers("label")?);
    let mut counts = [[0usize; 2]; 3];
    let mut realised = 0.0;
    for (probability, label) in probabilities.iter().zip(&labels) {
        let action = cutoffs.action(Probability::clamped(*probability));
        let bad = usize::from(*label > 0.5);
        counts[action as usize][bad] += 1;
        // What an action costs a case of known label is its expected cost at 0 or 1.
        let cost = costs.expected(Probability::clamped(bad as f64));
        realised += [cost.allow, cost.challenge, cost.block][action as usize];
    }
    let rows = labels.len().max(1) as f64;
    let bad = labels.iter().filter(|label| **label > 0.5).count() as f64;
    let (allow_all, block_all) = (bad * costs.false_negative / rows, (rows - bad) * costs.false_block / rows);
    let by_action = Action::ALL.map(|action| {
        let [good, bad] = counts[action as usize];
        json!({"action": action.name(), "share": (good + bad) as f64 / rows, "good": good, "bad": bad})
    });
    Ok(json!({
        "rows": labels.len(),
        "actions": by_action,
        "cost_per_decision": realised / rows,
        "cost_of_allowing_all": allow_all,
        "cost_of_blocking_all": block_all,
    }))
}

fn for_people(cutoffs: CutOffs, result: &Value) -> Result<()> {
    let mut output = Output::new();
    match cutoffs {
        CutOffs::ThreeWay { challenge, block } => {
            output.line(format_args!("allow below {challenge:.6}, challenge from there, block from {block:.6}"))?;
        }
        CutOffs::TwoWay { block } => {
            output.line(format_args!(
                "a challenge never pays at these costs: allow below {block:.6}, block from there"
            ))?;
        }
    }
    let mut table = output::table(&["cost", "value", "10 % lower: challenge, block", "10 % higher: challenge, block"]);
    let shown = |cutoffs: &Value| {
        let part = |key: &str| cutoffs[key].as_f64().map_or_else(|| "-".into(), |number| format!("{number:.4}"));
        format!("{}, {}", part("challenge"), part("block"))
    };
    for entry in result["sensitivity"].as_array().into_iter().flatten() {
        let name = entry["cost"].as_str().unwrap_or_default().to_owned();
        table.add_row([name, entry["value"].to_string(), shown(&entry["lower"]), shown(&entry["higher"])]);
    }
    output.line(table)?;
    if let Some(labelled) = result["labelled"].as_object() {
        for (key, value) in labelled {
            output.line(format_args!("{key}  {value}"))?;
        }
    }
    output.finish()
}

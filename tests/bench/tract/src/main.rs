//! tract on the converted model, one row at a time, for `make bench`.
//!
//! `bench-tract MODEL_ONNX ROWS_F64 FEATURES` speaks the lines that `../README.md` describes.

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::time::Instant;
use tract_onnx::prelude::*;

const CHECKED_ROWS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows, features] = arguments.as_slice() else {
        return Err("bench-tract MODEL_ONNX ROWS_F64 FEATURES".into());
    };
    let rows = read_rows(rows, features.parse()?)?;
    let width = rows.first().map_or(0, |row| row.len());
    let graph = tract_onnx::onnx().model_for_path(model)?;
    let plan = graph.with_input_fact(0, f32::fact([1, width]).into())?.into_optimized()?.into_runnable()?;
    println!("{{\"ready\":true,\"variants\":[\"tract\"]}}");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["run", "tract", count] => {
                let rows = rows.iter().cycle().take(count.parse()?);
                let times = rows.map(|row| {
                    let start = Instant::now();
                    black_box(plan.run(tvec!(row.clone().into()))?);
                    Ok(start.elapsed().as_nanos() as u64)
                });
                report(times.collect::<TractResult<Vec<u64>>>()?);
            }
            ["predict"] => {
                let scores = rows.iter().take(CHECKED_ROWS).map(|row| {
                    let out = plan.run(tvec!(row.clone().into()))?;
                    let score = out.iter().find(|out| out.datum_type() == f32::datum_type());
                    let score = score.ok_or_else(|| TractError::msg("the graph gives no score"))?;
                    Ok(score.to_plain_array_view::<f32>()?.iter().last().copied().unwrap_or(f32::NAN))
                });
                println!("{:?}", scores.collect::<TractResult<Vec<f32>>>()?);
            }
            _ => return Err(format!("unknown command: {line}").into()),
        }
    }
    Ok(())
}

/// Little-endian doubles, row by row, in the single precision that the graph takes.
fn read_rows(path: &str, width: usize) -> Result<Vec<Tensor>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let (numbers, _) = bytes.as_chunks::<8>();
    let values: Vec<f32> = numbers.iter().map(|number| f64::from_le_bytes(*number) as f32).collect();
    let rows = values.chunks_exact(width).map(|row| Tensor::from_shape(&[1, width], row));
    Ok(rows.collect::<TractResult<_>>()?)
}

fn report(mut times: Vec<u64>) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!(
        "{{\"variant\":\"tract\",\"p50_ns\":{},\"p10_ns\":{},\"p90_ns\":{},\"n\":{}}}",
        at(50),
        at(10),
        at(90),
        times.len()
    );
}

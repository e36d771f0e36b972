//! Golden rows: the trainer's predictions travel with the model and are checked at
//! every activation, on the machine and runtime that will serve.

use crate::calibrator::Calibrator;
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::model::{Model, Scratch};
use alloc::vec::Vec;
use minicbor::Encode;

/// The golden part on the wire; numbers are f64 little-endian.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct GoldenWire<'b> {
    /// Number of rows.
    #[n(0)]
    pub rows: u32,
    /// Row by row, one value per scored feature; NaN is missing.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub values: &'b [u8],
    /// Row by row, the trainer's raw scores.
    #[cbor(b(2), with = "minicbor::bytes")]
    pub raw: &'b [u8],
    /// Allowed distance from the trainer's raw scores; 0 asks for the same bits.
    #[n(3)]
    pub tolerance: f64,
    /// Row by row, the calibrated probability, always to the bit: see [`Model::golden_risk`].
    #[cbor(b(4), with = "minicbor::bytes")]
    pub probability: &'b [u8],
}

cbor::map! { GoldenWire<'b> { 0 => rows, 1 => values as bytes, 2 => raw as bytes, 3 => tolerance, 4 => probability as bytes } }

/// Scores the golden rows and compares.
///
/// # Errors
/// `SELF_TEST` with the row that differs; `SCHEMA` when the rows do not fit the model.
pub(crate) fn check(part: &[u8], model: &Model, calibrator: &Calibrator) -> Result<usize> {
    let wire: GoldenWire<'_> = cbor::decode(part)?;
    let (rows, columns) = (wire.rows as usize, model.features().len());
    ensure(rows <= limits::GOLDEN_ROWS, Code::Limit, "golden: too many rows")?;
    ensure(rows > 0, Code::SelfTest, "golden: no rows")?;
    ensure((0.0..1.0).contains(&wire.tolerance), Code::SelfTest, "golden: tolerance not within [0, 1)")?;
    let (values, raw) = (doubles(wire.values)?, doubles(wire.raw)?);
    let probability = doubles(wire.probability)?;
    let fits = values.len() == rows * columns && raw.len() == rows * model.outputs() && probability.len() == rows;
    ensure(fits, Code::Schema, "golden: rows do not fit the model")?;
    let mut scratch = Scratch::default();
    let expected = raw.chunks(model.outputs()).zip(&probability);
    for (index, (row, (raw, probability))) in values.chunks(columns).zip(expected).enumerate() {
        let differs = |what| Error::new(Code::SelfTest, what).at(index);
        let scored = model.raw(row, &mut scratch);
        let same = scored.iter().zip(raw).all(|(got, want)| is_close(*got, *want, wire.tolerance));
        if !same {
            return Err(differs("golden: raw score differs from the trainer's, row"));
        }
        let risk = model.golden_risk(row, raw, &mut scratch);
        let calibrated = calibrator.apply(risk.margin, risk.by_link).get();
        if calibrated.to_bits() != probability.to_bits() {
            return Err(differs("golden: probability differs, row"));
        }
    }
    Ok(rows)
}

fn is_close(got: f64, want: f64, tolerance: f64) -> bool {
    got.to_bits() == want.to_bits() || (tolerance > 0.0 && libm::fabs(got - want) <= tolerance)
}

fn doubles(bytes: &[u8]) -> Result<Vec<f64>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    ensure(rest.is_empty(), Code::Malformed, "golden: numbers are not 8 bytes each")?;
    Ok(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect())
}

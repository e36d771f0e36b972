//! Tensors: a type, a shape, and data in one of three forms.

use crate::serve::http::Problem;
use bytes::Bytes;

/// The types of the protocol that rows can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Bool, "BOOL"),
        (Self::Uint8, "UINT8"),
        (Self::Uint16, "UINT16"),
        (Self::Uint32, "UINT32"),
        (Self::Uint64, "UINT64"),
        (Self::Int8, "INT8"),
        (Self::Int16, "INT16"),
        (Self::Int32, "INT32"),
        (Self::Int64, "INT64"),
        (Self::Fp32, "FP32"),
        (Self::Fp64, "FP64"),
        (Self::Bytes, "BYTES"),
    ];

    pub(in crate::serve) fn of(name: &str) -> Result<Self, Problem> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name).map(|(datatype, _)| *datatype);
        found.ok_or_else(|| tensor_problem(format!("datatype {name} is not supported")))
    }

    pub(in crate::serve) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(datatype, _)| *datatype == self).map_or("", |(_, name)| name)
    }
}

/// The values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::serve) enum Data {
    Flags(Vec<bool>),
    /// NaN is missing.
    Numbers(Vec<f64>),
    Texts(Vec<Bytes>),
}

impl Data {
    pub(in crate::serve) fn len(&self) -> usize {
        match self {
            Self::Flags(flags) => flags.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Reads the raw form: numbers little-endian, texts with their length in front.
    pub(in crate::serve) fn from_raw(datatype: Datatype, raw: &Bytes) -> Result<Self, Problem> {
        Ok(match datatype {
            Datatype::Bool => Self::Flags(raw.iter().map(|byte| *byte != 0).collect()),
            Datatype::Bytes => Self::Texts(texts(raw)?),
            Datatype::Uint8 => Self::Numbers(raw.iter().map(|byte| f64::from(*byte)).collect()),
            Datatype::Int8 => numbers::<1>(raw, |b| f64::from(i8::from_le_bytes(b)))?,
            Datatype::Uint16 => numbers::<2>(raw, |b| f64::from(u16::from_le_bytes(b)))?,
            Datatype::Int16 => numbers::<2>(raw, |b| f64::from(i16::from_le_bytes(b)))?,
            Datatype::Uint32 => numbers::<4>(raw, |b| f64::from(u32::from_le_bytes(b)))?,
            Datatype::Int32 => numbers::<4>(raw, |b| f64::from(i32::from_le_bytes(b)))?,
            Datatype::Fp32 => numbers::<4>(raw, |b| f64::from(f32::from_le_bytes(b)))?,
            Datatype::Uint64 => numbers::<8>(raw, |b| u64::from_le_bytes(b) as f64)?,
            Datatype::Int64 => numbers::<8>(raw, |b| i64::from_le_bytes(b) as f64)?,
            Datatype::Fp64 => numbers::<8>(raw, f64::from_le_bytes)?,
        })
    }

    /// Writes the raw form of an output: numbers as FP64.
    pub(in crate::serve) fn to_raw(&self) -> Bytes {
        let mut raw = Vec::new();
        match self {
            Self::Flags(flags) => raw.extend(flags.iter().map(|flag| u8::from(*flag))),
            Self::Numbers(numbers) => numbers.iter().for_each(|number| raw.extend_from_slice(&number.to_le_bytes())),
            Self::Texts(texts) => {
                for text in texts {
                    raw.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                    raw.extend_from_slice(text);
                }
            }
        }
        raw.into()
    }
}

fn numbers<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> f64) -> Result<Data, Problem> {
    let (whole, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(tensor_problem(format!("raw data of {} bytes is no multiple of {N}", raw.len())));
    }
    Ok(Data::Numbers(whole.iter().map(|bytes| read(*bytes)).collect()))
}

fn texts(raw: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let mut texts = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let cut = || tensor_problem("raw BYTES end within a text");
        let length = raw.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or_else(cut)?;
        let end = (at + 4).checked_add(length as usize).filter(|end| *end <= raw.len()).ok_or_else(cut)?;
        texts.push(raw.slice(at + 4..end));
        at = end;
    }
    Ok(texts)
}

/// One input or output.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::serve) struct Tensor {
    pub(in crate::serve) name: String,
    pub(in crate::serve) shape: Vec<usize>,
    pub(in crate::serve) data: Data,
}

impl Tensor {
    /// # Errors
    /// `TENSOR` where shape and data disagree.
    pub(in crate::serve) fn new(name: String, shape: &[i64], data: Data) -> Result<Self, Problem> {
        let sizes: Option<Vec<usize>> = shape.iter().map(|size| usize::try_from(*size).ok()).collect();
        let sizes = sizes.ok_or_else(|| tensor_problem(format!("{name}: a size below 0")))?;
        let count = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        if count != Some(data.len()) {
            return Err(tensor_problem(format!("{name}: shape {sizes:?} does not fit its {} values", data.len())));
        }
        Ok(Self { name, shape: sizes, data })
    }

    /// Rows, and values in each; a list is rows of one value.
    pub(in crate::serve) fn rows(&self) -> Result<(usize, usize), Problem> {
        match self.shape[..] {
            [rows] => Ok((rows, 1)),
            [rows, width] => Ok((rows, width)),
            _ => Err(tensor_problem(format!("{}: a shape of one or two sizes is expected", self.name))),
        }
    }
}

/// What is wrong with tensors.
pub(in crate::serve) fn tensor_problem(detail: impl Into<String>) -> Problem {
    Problem::bad("TENSOR", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_data_is_read_and_written() {
        let raw = Bytes::from_static(&[2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0]);
        let texts = Data::from_raw(Datatype::Bytes, &raw).expect("texts");
        assert_eq!(texts, Data::Texts(vec![Bytes::from_static(b"ab"), Bytes::new()]));
        assert_eq!(texts.to_raw(), raw);
        for cut in [1, 3, 5] {
            assert!(Data::from_raw(Datatype::Bytes, &raw.slice(..cut)).is_err(), "cut at {cut}");
        }
        let long = Bytes::from_static(&[255, 255, 255, 255, 1]);
        assert!(Data::from_raw(Datatype::Bytes, &long).is_err(), "a length beyond the data");
        let raw = Bytes::from(1.5_f32.to_le_bytes().to_vec());
        assert_eq!(Data::from_raw(Datatype::Fp32, &raw).expect("one"), Data::Numbers(vec![1.5]));
        assert!(Data::from_raw(Datatype::Fp64, &raw).is_err());
    }

    #[test]
    fn shapes_have_to_fit() {
        let data = || Data::Numbers(vec![0.0; 6]);
        assert_eq!(Tensor::new("x".into(), &[3, 2], data()).expect("fits").rows().expect("two"), (3, 2));
        for wrong in [&[3_i64, 3][..], &[-3, -2], &[i64::MAX, i64::MAX], &[]] {
            assert!(Tensor::new("x".into(), wrong, data()).is_err(), "{wrong:?}");
        }
    }
}

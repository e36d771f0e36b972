//! Nodes and tensors of a graph, read with messages that name what is wrong.

use super::proto::{AttributeProto, NodeProto, TensorProto, data_type};
use crate::failure::{Failure, Result};

/// Elements of the largest constant that we read.
const ELEMENTS: usize = 64 << 20;

/// A node with its attributes.
#[derive(Clone, Copy)]
pub(super) struct Op<'g> {
    /// The node.
    pub node: &'g NodeProto,
    /// Its place in the graph.
    pub position: usize,
}

/// A constant: its shape, its elements in double precision, whether they are double.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Constant {
    /// Its shape.
    pub dims: Vec<usize>,
    /// Its elements; every type we take in fits but for large 64-bit integers.
    pub values: Vec<f64>,
    /// The elements were of type double.
    pub double: bool,
}

/// A refusal of a model.
pub(super) fn refused(message: impl Into<String>) -> Failure {
    Failure::refused("MODEL", message)
}

impl<'g> Op<'g> {
    pub(super) fn new(position: usize, node: &'g NodeProto) -> Self {
        Self { node, position }
    }

    /// A refusal that names the node.
    pub(super) fn refused(&self, what: impl AsRef<str>) -> Failure {
        let Self { node, position } = self;
        let name = if node.name.is_empty() { String::new() } else { format!(" {:?}", node.name) };
        refused(format!("node {position}, {}{name}: {}", node.op_type, what.as_ref()))
    }

    /// A refusal that names an attribute.
    pub(super) fn wrong(&self, attribute: &str, what: impl AsRef<str>) -> Failure {
        self.refused(format!("attribute {attribute}: {}", what.as_ref()))
    }

    /// The name of an input; none for one left out.
    pub(super) fn input(&self, index: usize) -> Option<&'g str> {
        self.node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&'g AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.attribute(name)
            .map_or_else(|| default.to_owned(), |attribute| String::from_utf8_lossy(&attribute.s).into_owned())
    }

    pub(super) fn ints(&self, name: &str) -> &'g [i64] {
        self.attribute(name).map_or(&[], |attribute| &attribute.ints)
    }

    pub(super) fn floats(&self, name: &str) -> Vec<f64> {
        self.attribute(name)
            .map_or_else(Vec::new, |attribute| attribute.floats.iter().copied().map(f64::from).collect())
    }

    /// Whether an attribute is there and has elements.
    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name)
            .is_some_and(|a| a.t.is_some() || !(a.ints.is_empty() && a.floats.is_empty() && a.strings.is_empty()))
    }

    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        let texts = self.attribute(name).map_or(&[][..], |attribute| &attribute.strings);
        texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    /// A tensor attribute; none when it is not there.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Constant>> {
        let Some(attribute) = self.attribute(name) else { return Ok(None) };
        let tensor = attribute.t.as_ref().ok_or_else(|| self.wrong(name, "is no tensor"))?;
        Constant::read(tensor).map(Some).map_err(|failure| self.wrong(name, failure.message))
    }

    /// Numbers from an attribute of floats, or from its double twin `*_as_tensor`; and
    /// whether they are double.
    pub(super) fn numbers(&self, name: &str) -> Result<(Vec<f64>, bool)> {
        match self.tensor(&format!("{name}_as_tensor"))? {
            Some(constant) => Ok((constant.values, constant.double)),
            None => Ok((self.floats(name), false)),
        }
    }

    /// The texts of one side of an operator that maps: an attribute of texts, or a tensor.
    pub(super) fn texts(&self, side: &str) -> Result<Vec<String>> {
        let tensor = self.attribute(&format!("{side}_tensor")).and_then(|attribute| attribute.t.as_ref());
        match tensor.filter(|tensor| tensor.data_type == data_type::STRING) {
            Some(tensor) => {
                Ok(tensor.string_data.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
            }
            None => Ok(self.strings(&format!("{side}_strings"))),
        }
    }

    /// The numbers of one side of an operator that maps, of any type.
    pub(super) fn side(&self, side: &str) -> Result<Vec<f64>> {
        if let Some(tensor) = self.tensor(&format!("{side}_tensor"))? {
            return Ok(tensor.values);
        }
        let integers = self.ints(&format!("{side}_int64s"));
        let floats = self.floats(&format!("{side}_floats"));
        Ok(if integers.is_empty() { floats } else { integers.iter().map(|value| *value as f64).collect() })
    }

    /// Fails unless a list of attributes is as long as it must be.
    pub(super) fn length(&self, name: &str, got: usize, want: usize) -> Result<()> {
        if got == want { Ok(()) } else { Err(self.wrong(name, format!("has {got} entries where {want} belong"))) }
    }
}

impl Constant {
    /// Reads a tensor of numbers.
    pub(super) fn read(tensor: &TensorProto) -> Result<Self> {
        let name = &tensor.name;
        if tensor.data_location != 0 || !tensor.external_data.is_empty() {
            let message = format!("tensor {name:?} is in another file; save the model with its data inside");
            return Err(refused(message));
        }
        let dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<Vec<usize>>>();
        let dims = dims.ok_or_else(|| refused(format!("tensor {name:?} has a negative dimension")))?;
        let size = dims.iter().try_fold(1usize, |size, dim| size.checked_mul(*dim)).filter(|size| *size <= ELEMENTS);
        let size = size.ok_or_else(|| refused(format!("tensor {name:?} has more than {ELEMENTS} elements")))?;
        let values = if tensor.raw_data.is_empty() { typed(tensor) } else { raw(tensor) };
        let values = values.ok_or_else(|| {
            refused(format!("tensor {name:?} has elements of type {}, only numbers are supported", tensor.data_type))
        })?;
        if values.len() != size {
            return Err(refused(format!("tensor {name:?} has {} elements, its shape says {size}", values.len())));
        }
        Ok(Self { dims, values, double: tensor.data_type == data_type::DOUBLE })
    }

    /// The elements as integers.
    pub(super) fn integers(&self) -> Vec<i64> {
        self.values.iter().map(|value| *value as i64).collect()
    }

    /// The element for a column, where one stands for all.
    pub(super) fn at(&self, column: usize) -> Option<f64> {
        match self.values.as_slice() {
            [only] => Some(*only),
            values => values.get(column).copied(),
        }
    }
}

fn typed(tensor: &TensorProto) -> Option<Vec<f64>> {
    Some(match tensor.data_type {
        data_type::FLOAT => tensor.float_data.iter().copied().map(f64::from).collect(),
        data_type::DOUBLE => tensor.double_data.clone(),
        data_type::INT64 => tensor.int64_data.iter().map(|value| *value as f64).collect(),
        data_type::UINT8 | data_type::INT8 | data_type::INT32 | data_type::BOOL => {
            tensor.int32_data.iter().copied().map(f64::from).collect()
        }
        _ => return None,
    })
}

fn raw(tensor: &TensorProto) -> Option<Vec<f64>> {
    let bytes = tensor.raw_data.as_slice();
    let fours = || bytes.as_chunks::<4>().0.iter().copied();
    let eights = || bytes.as_chunks::<8>().0.iter().copied();
    Some(match tensor.data_type {
        data_type::FLOAT => fours().map(|chunk| f64::from(f32::from_le_bytes(chunk))).collect(),
        data_type::INT32 => fours().map(|chunk| f64::from(i32::from_le_bytes(chunk))).collect(),
        data_type::DOUBLE => eights().map(f64::from_le_bytes).collect(),
        data_type::INT64 => eights().map(|chunk| i64::from_le_bytes(chunk) as f64).collect(),
        data_type::UINT8 | data_type::BOOL => bytes.iter().copied().map(f64::from).collect(),
        data_type::INT8 => bytes.iter().map(|byte| f64::from(byte.cast_signed())).collect(),
        _ => return None,
    })
}

//! CBOR as a forger writes it: any shape, right or wrong.

/// A value to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Cbor {
    /// Unsigned integer, in its shortest form.
    Uint(u64),
    /// Text.
    Text(String),
    /// Byte string.
    Bytes(Vec<u8>),
    /// Array.
    Array(Vec<Cbor>),
    /// Map, in the order given; keys may repeat.
    Map(Vec<(u64, Cbor)>),
    /// Map from text to text.
    TextMap(Vec<(String, String)>),
    /// Double.
    Float(f64),
    /// Boolean.
    Bool(bool),
    /// Bytes taken as they are.
    Raw(Vec<u8>),
}

impl Cbor {
    /// Text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Sets a key of a map, or adds it at the end.
    pub fn set(&mut self, key: u64, value: Self) {
        let Self::Map(entries) = self else { return };
        match entries.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }

    /// A key of a map.
    ///
    /// # Panics
    /// When it is not there.
    pub fn get_mut(&mut self, key: u64) -> &mut Self {
        let Self::Map(entries) = self else { panic!("not a map") };
        &mut entries.iter_mut().find(|(k, _)| *k == key).expect("key").1
    }

    /// The items of an array.
    ///
    /// # Panics
    /// When it is none.
    pub fn items(&mut self) -> &mut Vec<Self> {
        match self {
            Self::Array(items) => items,
            other => panic!("not an array: {other:?}"),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uint(number) => head(out, 0, *number),
            Self::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend(text.as_bytes());
            }
            Self::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend(bytes);
            }
            Self::Array(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(entries) => {
                head(out, 5, entries.len() as u64);
                for (key, value) in entries {
                    head(out, 0, *key);
                    value.write(out);
                }
            }
            Self::TextMap(entries) => {
                head(out, 5, entries.len() as u64);
                for (key, value) in entries {
                    Self::text(key).write(out);
                    Self::text(value).write(out);
                }
            }
            Self::Float(number) => {
                out.push(0xfb);
                out.extend(number.to_be_bytes());
            }
            Self::Bool(flag) => out.push(0xf4 + u8::from(*flag)),
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => out.push(major << 5 | bytes[7]),
        24..=0xff => out.extend([major << 5 | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major << 5 | 25);
            out.extend(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major << 5 | 26);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major << 5 | 27);
            out.extend(bytes);
        }
    }
}

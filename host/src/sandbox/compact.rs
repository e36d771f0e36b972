//! The compact result of a typed row, 64 bytes of the ABI.

/// Bytes of one compact result.
pub(super) const COMPACT_BYTES: usize = 64;

/// The compact result of a typed row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compact {
    /// 0 allow, 1 challenge, 2 block.
    pub action: u8,
    /// The stage of the policy, see the ABI page.
    pub source: u8,
    /// Something stood in for a value.
    pub degraded: bool,
    /// How many features had a stand-in.
    pub stand_ins: u32,
    /// Margin, probability, expected cost of allow, challenge, block; NaN where none.
    pub numbers: [f64; 5],
}

impl Compact {
    /// The 64 bytes of the ABI.
    pub fn to_bytes(&self) -> [u8; COMPACT_BYTES] {
        let head = [self.action, self.source, u8::from(self.degraded), 0];
        let bytes = head.into_iter().chain(self.stand_ins.to_le_bytes());
        let bytes = bytes.chain(self.numbers.into_iter().flat_map(f64::to_le_bytes));
        let mut out = [0; COMPACT_BYTES];
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let number =
            |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(f64::NAN, f64::from_le_bytes);
        let stand_ins = bytes.get(4..8).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let numbers = [8, 16, 24, 32, 40].map(number);
        Self { action: byte(0), source: byte(1), degraded: byte(2) == 1, stand_ins, numbers }
    }
}

//! A bit for each of many rows.

#![expect(clippy::indexing_slicing, reason = "an index into a fixed array, in range by its bits")]

/// Rows of a plane.
pub(crate) const ROWS: usize = 256;

/// One bit a row.
pub(crate) type Plane = [u64; ROWS / 64];

/// Marks a row.
#[inline(always)]
pub(crate) fn mark(plane: &mut Plane, row: usize) {
    plane[row / 64 % (ROWS / 64)] |= 1 << (row % 64);
}

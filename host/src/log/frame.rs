//! Frames, the unit of a segment: length, checksum, then one entry.

/// What a segment begins with.
pub const MAGIC: &[u8; 8] = b"TGLOG\x00\x01\n";
/// Length and checksum in front of an entry.
pub const HEAD_BYTES: usize = 8;
/// Kind, stream and sequence number in front of an entry's JSON.
pub const ENTRY_BYTES: usize = 13;
/// Bytes of the longest frame that a reader accepts.
pub const FRAME_BYTES: usize = 64 << 20;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One decision.
    Decision = 1,
    /// Decisions that were made and not logged: `first`, `last`.
    Loss = 2,
    /// The head of a segment: process, number, and each stream's next sequence number.
    Head = 3,
    /// The process ended in order; the sequence number is each stream's next.
    Close = 4,
}

impl Kind {
    fn of(number: u8) -> Option<Self> {
        [Self::Decision, Self::Loss, Self::Head, Self::Close].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'b> {
    /// What it is.
    pub kind: Kind,
    /// The worker that made it.
    pub stream: u32,
    /// Its number in the worker's own count, from 1.
    pub sequence: u64,
    /// An object of JSON, on one line.
    pub json: &'b [u8],
}

/// Writes an entry whose JSON `write` appends.
pub fn push(buffer: &mut Vec<u8>, kind: Kind, stream: u32, sequence: u64, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEAD_BYTES]);
    buffer.push(kind as u8);
    buffer.extend_from_slice(&stream.to_le_bytes());
    buffer.extend_from_slice(&sequence.to_le_bytes());
    write(buffer);
    let body = start + HEAD_BYTES;
    let length = u32::try_from(buffer.len() - body).unwrap_or(u32::MAX);
    let checksum = crc32fast::hash(&buffer[body..]);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..body].copy_from_slice(&checksum.to_le_bytes());
}

/// What lies at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'b> {
    /// A whole entry, and the bytes of its frame.
    Entry(Entry<'b>, usize),
    /// Nothing.
    End,
    /// The beginning of a frame.
    Torn,
    /// What no writer wrote.
    Damaged(&'static str),
}

/// Reads the frame at the start of some bytes.
pub fn next(bytes: &[u8]) -> Next<'_> {
    if bytes.is_empty() {
        return Next::End;
    }
    let number = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let (Some(length), Some(checksum)) = (number(0), number(4)) else { return Next::Torn };
    let length = length as usize;
    if !(ENTRY_BYTES..=FRAME_BYTES).contains(&length) {
        return Next::Damaged("the length of a frame is out of bounds");
    }
    let Some(body) = bytes.get(HEAD_BYTES..HEAD_BYTES + length) else { return Next::Torn };
    if crc32fast::hash(body) != checksum {
        return Next::Damaged("the checksum of a frame is wrong");
    }
    let Some(kind) = Kind::of(body[0]) else { return Next::Damaged("an entry of an unknown kind") };
    let stream = body[1..5].try_into().map_or(0, u32::from_le_bytes);
    let sequence = body[5..13].try_into().map_or(0, u64::from_le_bytes);
    Next::Entry(Entry { kind, stream, sequence, json: &body[ENTRY_BYTES..] }, HEAD_BYTES + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_written_and_damage_is_seen() {
        let mut buffer = Vec::new();
        push(&mut buffer, Kind::Decision, 3, 7, |out| out.extend_from_slice(b"{\"a\":1}"));
        let Next::Entry(entry, bytes) = next(&buffer) else { panic!("an entry") };
        assert_eq!((entry.kind, entry.stream, entry.sequence, entry.json), (Kind::Decision, 3, 7, &b"{\"a\":1}"[..]));
        assert_eq!(bytes, buffer.len());
        assert_eq!(next(&[]), Next::End);
        for cut in 1..buffer.len() {
            assert_eq!(next(&buffer[..cut]), Next::Torn, "cut at {cut}");
        }
        for at in 0..buffer.len() {
            let mut flipped = buffer.clone();
            flipped[at] ^= 1;
            assert!(!matches!(next(&flipped), Next::Entry(..)), "bit of byte {at}");
        }
    }
}

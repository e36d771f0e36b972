//! A test build of the module: the real one with a wrapper around `tg_score_json` that
//! misbehaves when one of some marks, all of them white space, stands before a request's
//! last brace.

/// Requests marked so never come back.
pub const LOOP: &str = "\t\t\t\t";
/// Requests marked so ask for memory until there is none, then trap.
pub const BOMB: &str = "\n\n\n\n";
/// Requests marked so recurse without end.
pub const RECURSE: &str = "\r\r\r\r";
/// Requests marked so trap at once.
pub const TRAP: &str = "\t\n\t\n";
/// Requests marked so overwrite the guest's memory, then are decided.
pub const POISON: &str = "\n\t\n\t";
/// Requests marked so fill memory over and over.
pub const FILL: &str = "\r\n\r\n";

const CALL: &str = "tg_score_json";
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// A request with a mark.
pub fn marked(row: &str, mark: &str) -> String {
    format!("{}{mark}}}", row.strip_suffix('}').expect("an object"))
}

/// The module with the wrapper.
pub fn module() -> Vec<u8> {
    let wasm = tollgate_module::TOLLGATE_WASM;
    let sections = sections(wasm);
    let payload = |id: u8| sections.iter().find(|(found, _)| *found == id).expect("a section").1;
    let functions = payload(FUNCTIONS);
    let (count, types) = number(functions);
    let exports = payload(EXPORTS);
    let place = position(exports, CALL);
    let (wrapped, rest) = number(&exports[place..]);
    let tail = &exports[place + (exports[place..].len() - rest.len())..];
    let own_type = nth(types, wrapped);
    let mut out = wasm[..8].to_vec();
    for (id, bytes) in &sections {
        let bytes = match *id {
            FUNCTIONS => [&leb(count + 1)[..], types, &leb(own_type)].concat(),
            EXPORTS => [&exports[..place], &leb(count)[..], tail].concat(),
            CODE => {
                let (bodies, code) = number(bytes);
                let body = wrapper(wrapped, count);
                [&leb(bodies + 1)[..], code, &leb(body.len() as u32), &body].concat()
            }
            _ => bytes.to_vec(),
        };
        out.push(*id);
        out.extend(leb(bytes.len() as u32));
        out.extend(bytes);
    }
    out
}

/// The wrapper's body; `own` is its own number.
fn wrapper(wrapped: u32, own: u32) -> Vec<u8> {
    let mark = |text: &str| signed(i32::from_le_bytes(text.as_bytes().try_into().expect("four bytes")));
    let when =
        |text: &str, then: &[u8]| [&[0x20, 3, 0x41][..], &mark(text), &[0x46, 0x04, 0x40], then, &[0x0b]].concat();
    let arguments = [0x20, 0, 0x20, 1, 0x20, 2];
    let mut body = vec![1, 1, 0x7f]; // one local, an i32
    // Shorter than a mark: straight to the end of the block.
    body.extend([0x02, 0x40, 0x20, 2, 0x41, 5, 0x49, 0x0d, 0]);
    // The four bytes before the last.
    body.extend([0x20, 1, 0x20, 2, 0x6a, 0x41, 5, 0x6b, 0x28, 0, 0, 0x21, 3]);
    body.extend(when(LOOP, &[0x03, 0x40, 0x0c, 0, 0x0b]));
    // memory.grow by 16 pages until it is refused.
    body.extend(when(BOMB, &[0x03, 0x40, 0x41, 16, 0x40, 0, 0x41, 0x7f, 0x47, 0x0d, 0, 0x0b, 0x00]));
    body.extend(when(RECURSE, &[&arguments[..], &[0x10], &leb(own), &[0x41, 1, 0x6a, 0x0f]].concat()));
    body.extend(when(TRAP, &[0x00]));
    // memory.fill of all memory with 0xaa.
    let fill = [0x41, 0, 0x41, 0xaa, 0x01, 0x3f, 0, 0x41, 16, 0x74, 0xfc, 11, 0];
    body.extend(when(POISON, &fill));
    body.extend(when(FILL, &[&[0x03, 0x40][..], &fill, &[0x0c, 0, 0x0b]].concat()));
    body.push(0x0b);
    body.extend(arguments);
    body.push(0x10);
    body.extend(leb(wrapped));
    body.push(0x0b);
    body
}

/// The sections of a module: number and payload.
fn sections(wasm: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = &wasm[8..];
    let mut found = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = number(after);
        let (payload, after) = after.split_at(length as usize);
        found.push((*id, payload));
        rest = after;
    }
    found
}

/// Where the number of an exported function stands.
fn position(exports: &[u8], name: &str) -> usize {
    let at = exports.windows(name.len()).position(|window| window == name.as_bytes()).expect("exported");
    assert_eq!(exports[at - 1] as usize, name.len(), "the whole name");
    assert_eq!(exports[at + name.len()], 0, "a function");
    at + name.len() + 1
}

fn nth(mut list: &[u8], index: u32) -> u32 {
    for _ in 0..index {
        list = number(list).1;
    }
    number(list).0
}

/// An unsigned LEB128 number and what follows it.
fn number(bytes: &[u8]) -> (u32, &[u8]) {
    let (mut value, mut shift) = (0, 0);
    for (index, byte) in bytes.iter().enumerate() {
        value |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (value, &bytes[index + 1..]);
        }
    }
    panic!("a number without an end");
}

fn leb(mut value: u32) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return out;
        }
    }
}

fn signed(mut value: i32) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        let done = (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0);
        out.push(if done { byte } else { byte | 0x80 });
        if done {
            return out;
        }
    }
}

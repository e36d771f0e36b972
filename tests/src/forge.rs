//! Small bundles, honest and hostile, written without the author's code.
//!
//! The honest one holds a forest of one tree over two features, `ip_risk` (number, 0 to
//! 100) and `country` (AA, BB): ip_risk <= 50 gives -2, else AA gives 1 and BB gives 3.

use crate::cbor::Cbor;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use tollgate_scorer::CostMatrix;
use tollgate_scorer::bundle::{PAYLOAD_TYPE, assemble};
use tollgate_scorer::trust::{KeyId, pre_authentication_encoding};

/// The signup example's costs.
pub const COSTS: CostMatrix = CostMatrix {
    false_negative: 2.10,
    false_block: 7.50,
    challenge: 0.02,
    completion: 0.93,
    lost_user: 1.0,
    abuser_pass: 0.25,
};

/// A key that signs test bundles; `n` tells keys apart.
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// Public half of [`key`].
pub fn public(n: u8) -> [u8; 32] {
    key(n).verifying_key().to_bytes()
}

/// A bundle before it is signed; every piece may be made wrong.
#[derive(Clone, Debug)]
pub struct Forged {
    /// Role, format, bytes.
    pub parts: Vec<(String, String, Vec<u8>)>,
    /// Changes the manifest before it is signed.
    pub manifest: fn(&mut Cbor),
    /// What the envelope says it holds.
    pub payload_type: &'static str,
}

impl Default for Forged {
    fn default() -> Self {
        let part = |role: &str, format: &str, value: &Cbor| (role.to_owned(), format.to_owned(), value.encode());
        Self {
            parts: vec![
                part("schema", "schema/1", &schema()),
                part("model", "forest/1", &forest()),
                part("calibrator", "calibrator/1", &calibrator()),
                part("policy", "policy/1", &policy()),
                part("golden", "golden/1", &golden()),
            ],
            manifest: |_| {},
            payload_type: PAYLOAD_TYPE,
        }
    }
}

impl Forged {
    /// The honest bundle with one part changed.
    pub fn with(role: &str, value: &Cbor) -> Self {
        Self::with_bytes(role, value.encode())
    }

    /// The honest bundle with one part's bytes changed.
    pub fn with_bytes(role: &str, bytes: Vec<u8>) -> Self {
        let mut forged = Self::default();
        if let Some(part) = forged.parts.iter_mut().find(|part| part.0 == role) {
            part.2 = bytes;
        }
        forged
    }

    /// The manifest as it will be signed.
    pub fn manifest(&self) -> Vec<u8> {
        let parts = self.parts.iter().map(|(role, format, bytes)| {
            Cbor::Map(vec![
                (0, Cbor::text(role)),
                (1, Cbor::text(format)),
                (2, Cbor::Uint(bytes.len() as u64)),
                (3, Cbor::Bytes(Sha256::digest(bytes).to_vec())),
                (4, Cbor::Bool(true)),
            ])
        });
        let mut manifest = Cbor::Map(vec![
            (0, Cbor::Uint(1)),
            (1, Cbor::text("tiny")),
            (2, Cbor::text("1")),
            (3, Cbor::Uint(1_700_000_000_000)),
            (4, Cbor::Uint(1)),
            (5, Cbor::Array(parts.collect())),
            (6, Cbor::TextMap(vec![])),
        ]);
        (self.manifest)(&mut manifest);
        manifest.encode()
    }

    /// The file, signed with key 1.
    pub fn file(&self) -> Vec<u8> {
        self.file_with(&envelope(self.payload_type, &self.manifest(), &[(1, 1)]).encode())
    }

    /// The file with another envelope in front of the same parts.
    pub fn file_with(&self, envelope: &[u8]) -> Vec<u8> {
        assemble(envelope, self.parts.iter().map(|part| part.2.as_slice()))
    }
}

/// An envelope; each signature names the key that its id claims and the key that signs.
pub fn envelope(payload_type: &str, payload: &[u8], signatures: &[(u8, u8)]) -> Cbor {
    let message = pre_authentication_encoding(payload_type, payload);
    let signatures = signatures.iter().map(|(claimed, signer)| {
        entry(KeyId::of(&public(*claimed)).0.to_vec(), key(*signer).sign(&message).to_bytes().to_vec())
    });
    Cbor::Map(vec![
        (0, Cbor::text(payload_type)),
        (1, Cbor::Bytes(payload.to_vec())),
        (2, Cbor::Array(signatures.collect())),
    ])
}

/// One signature entry.
pub fn entry(key_id: Vec<u8>, signature: Vec<u8>) -> Cbor {
    Cbor::Map(vec![(0, Cbor::Bytes(key_id)), (1, Cbor::Bytes(signature))])
}

/// The honest schema.
pub fn schema() -> Cbor {
    let number = Cbor::Map(vec![
        (0, Cbor::text("ip_risk")),
        (1, Cbor::Uint(0)),
        (2, Cbor::Float(0.0)),
        (3, Cbor::Float(100.0)),
        (5, Cbor::Bool(true)),
        (7, Cbor::Uint(1)),
        (8, Cbor::Uint(0)),
        (9, Cbor::text("")),
    ]);
    let category = Cbor::Map(vec![
        (0, Cbor::text("country")),
        (1, Cbor::Uint(3)),
        (4, Cbor::Array(vec![Cbor::text("AA"), Cbor::text("BB")])),
        (5, Cbor::Bool(true)),
        (7, Cbor::Uint(1)),
        (8, Cbor::Uint(0)),
        (9, Cbor::text("")),
    ]);
    Cbor::Map(vec![(0, Cbor::Array(vec![number, category]))])
}

/// The honest forest.
pub fn forest() -> Cbor {
    let number = |feature| Cbor::Map(vec![(0, Cbor::Uint(feature)), (1, Cbor::Uint(2)), (2, Cbor::Bool(false))]);
    let mut set = number(1);
    set.set(1, Cbor::Uint(3));
    set.set(3, Cbor::Bytes(vec![1, 0, 0, 0]));
    Cbor::Map(vec![
        (0, Cbor::Array(vec![Cbor::text("ip_risk"), Cbor::text("country")])),
        (1, Cbor::Uint(1)),
        (2, Cbor::Array(vec![])),
        (3, Cbor::Map(vec![(0, Cbor::Uint(1)), (1, Cbor::Float(1.0))])),
        (5, Cbor::Uint(1)),
        (6, Cbor::Array(vec![Cbor::Bytes(50f64.to_le_bytes().to_vec()), Cbor::Bytes(vec![])])),
        (7, Cbor::Array(vec![number(0), set])),
        (8, Cbor::Bytes(shorts(&[0, 0xffff, 1, 0xffff, 0xffff]))),
        (9, Cbor::Bytes(shorts(&[0, 0]))),
        (10, Cbor::Bytes(doubles(&[-2.0, 1.0, 3.0]))),
        (12, Cbor::Uint(0)),
        (13, Cbor::Array(vec![])),
        (14, Cbor::Array(vec![])),
    ])
}

/// The honest calibrator: Platt with slope 1, which is the logistic link itself.
pub fn calibrator() -> Cbor {
    Cbor::Map(vec![
        (0, Cbor::text("1")),
        (1, Cbor::Uint(2)),
        (2, Cbor::Uint(0)),
        (3, Cbor::Bytes(doubles(&[-1.0, 0.0]))),
        (4, Cbor::Bytes(vec![])),
    ])
}

/// The honest policy: challenge from 0.5, block from 0.9.
pub fn policy() -> Cbor {
    let labels = [(0, "allow"), (1, "challenge"), (2, "block")].map(|(key, label)| (key, Cbor::text(label)));
    Cbor::Map(vec![
        (0, Cbor::text("test")),
        (1, Cbor::Map(labels.to_vec())),
        (2, Cbor::Uint(1)),
        (3, Cbor::Map(vec![(0, Cbor::Float(0.5)), (1, Cbor::Float(0.9))])),
        (5, Cbor::Array(vec![])),
        (6, Cbor::Array(vec![])),
    ])
}

/// The honest golden rows.
pub fn golden() -> Cbor {
    let sigmoid = |x: f64| 1.0 / (1.0 + libm_exp(-x));
    Cbor::Map(vec![
        (0, Cbor::Uint(3)),
        (1, Cbor::Bytes(doubles(&[10.0, 0.0, 60.0, 0.0, 60.0, f64::NAN]))),
        (2, Cbor::Bytes(doubles(&[-2.0, 1.0, 3.0]))),
        (3, Cbor::Float(0.0)),
        (4, Cbor::Bytes(doubles(&[sigmoid(-2.0), sigmoid(1.0), sigmoid(3.0)]))),
    ])
}

/// The core's own exponential, reached through its public link.
fn libm_exp(x: f64) -> f64 {
    let mut value = [x];
    tollgate_scorer::model::Link::Exp.apply(&mut value);
    value[0]
}

/// Little-endian doubles.
pub fn doubles(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Little-endian shorts.
pub fn shorts(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

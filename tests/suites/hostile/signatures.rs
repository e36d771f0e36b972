//! Cases 1 to 12: who signed, and what exactly.

use super::*;
use tollgate_host::sandbox::Bounds;
use tollgate_tests::forge::key;
use tollgate_tests::{Native, Wasmtime};

#[test]
fn case_01_no_signatures() {
    let forged = Forged::default();
    let bare = envelope(PAYLOAD_TYPE, &forged.manifest(), &[]).encode();
    for keys in [public(1).to_vec(), [public(1), public(2)].concat()] {
        for mut runtime in runtimes() {
            assert_eq!(load(runtime.as_mut(), &forged.file_with(&bare), &keys), Err(Code::Unsigned));
        }
    }
}

#[test]
fn case_02_every_byte_flipped() {
    let honest = Forged::default().file();
    let parts: usize = Forged::default().parts.iter().map(|part| part.2.len()).sum();
    let first_part = honest.len() - parts;
    let mut wasmtime = Wasmtime::new(Bounds::default());
    for at in 0..honest.len() {
        for bit in [0x01, 0x80] {
            let mut file = honest.clone();
            file[at] ^= bit;
            let code = load(&mut wasmtime, &file, &public(1)).expect_err("a changed byte is never accepted");
            if at >= first_part {
                assert_eq!(code, Code::Digest, "part byte {at}");
            }
            assert_eq!(load(&mut Native::default(), &file, &public(1)), Err(code), "byte {at}");
        }
    }
}

#[test]
fn case_02_every_bit_of_manifest_and_signature() {
    let forged = Forged::default();
    let wrapped = envelope(PAYLOAD_TYPE, &forged.manifest(), &[(1, 1)]).encode();
    let honest = forged.file_with(&wrapped);
    let at = |needle: &[u8]| honest.windows(needle.len()).position(|window| window == needle).expect("there");
    let (manifest, signature) = (at(&forged.manifest()), 14 + wrapped.len() - 64);
    let signed = (manifest..manifest + forged.manifest().len()).chain(signature..signature + 64);
    for byte in signed {
        for bit in 0..8 {
            let mut file = honest.clone();
            file[byte] ^= 1 << bit;
            assert_eq!(load(&mut Native::default(), &file, &public(1)), Err(Code::BadSignature), "byte {byte}");
        }
    }
}

#[test]
fn case_03_another_type_of_document() {
    for payload_type in ["application/vnd.tollgate.release.v1+cbor", "application/vnd.in-toto+json"] {
        check(&Forged { payload_type, ..Forged::default() }, Code::WrongType);
    }
    // Signed as a release, offered as a bundle: the signature does not carry over.
    let forged = Forged::default();
    let release = "application/vnd.tollgate.release.v1+cbor";
    let mut wrapped = envelope(release, &forged.manifest(), &[(1, 1)]);
    wrapped.set(0, Cbor::text(PAYLOAD_TYPE));
    check_file(&forged.file_with(&wrapped.encode()), Code::BadSignature);
}

#[test]
fn case_04_key_that_came_with_the_envelope() {
    let forged = Forged::default();
    let foreign = envelope(PAYLOAD_TYPE, &forged.manifest(), &[(2, 2)]).encode();
    check_file(&forged.file_with(&foreign), Code::UntrustedKey);
    // The envelope has no place for a key; one put there is no envelope.
    check_envelope(|wrapped| wrapped.get_mut(2).items()[0].set(2, Cbor::Bytes(public(2).to_vec())), Code::Malformed);
}

#[test]
fn case_05_key_id_of_another_key() {
    let forged = Forged::default();
    let claims_trusted = envelope(PAYLOAD_TYPE, &forged.manifest(), &[(1, 2)]).encode();
    check_file(&forged.file_with(&claims_trusted), Code::BadSignature);
    // Two trusted keys and a crossed id: an id decides nothing, and no byte may vary.
    let crossed = forged.file_with(&envelope(PAYLOAD_TYPE, &forged.manifest(), &[(2, 1)]).encode());
    for mut runtime in runtimes() {
        let keys = [public(1), public(2)].concat();
        assert_eq!(load(runtime.as_mut(), &crossed, &keys), Err(Code::BadSignature));
    }
}

#[test]
fn any_trusted_key_of_several_suffices() {
    let forged = Forged::default();
    let second = forged.file_with(&envelope(PAYLOAD_TYPE, &forged.manifest(), &[(3, 3), (2, 2)]).encode());
    for mut runtime in runtimes() {
        assert_eq!(load(runtime.as_mut(), &second, &[public(1), public(2)].concat()), Ok(()));
        assert_eq!(load(runtime.as_mut(), &second, &public(1)), Err(Code::UntrustedKey));
    }
}

#[test]
fn case_08_algorithm_named() {
    for algorithm in ["none", "HS256", "Ed25519"] {
        check_envelope(|wrapped| wrapped.set(3, Cbor::text(algorithm)), Code::Malformed);
        check_envelope(|wrapped| wrapped.get_mut(2).items()[0].set(2, Cbor::text(algorithm)), Code::Malformed);
    }
}

/// Replaces the signature of the honest bundle.
#[track_caller]
fn check_signature(change: impl Fn(&mut [u8; 64])) {
    let forged = Forged::default();
    let mut wrapped = envelope(PAYLOAD_TYPE, &forged.manifest(), &[(1, 1)]);
    let Cbor::Bytes(signature) = wrapped.get_mut(2).items()[0].get_mut(1) else { panic!("a signature") };
    change(signature.as_mut_slice().try_into().expect("64 bytes"));
    check_file(&forged.file_with(&wrapped.encode()), Code::BadSignature);
}

#[test]
fn case_09_s_not_reduced() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    check_signature(|signature| {
        let mut carry = 0u16;
        for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry as u8;
            carry >>= 8;
        }
    });
    check_signature(|signature| signature[32..].fill(0xff));
}

#[test]
fn case_10_small_order_points() {
    check_signature(|signature| signature.fill(0));
    check_signature(|signature| {
        signature.fill(0);
        signature[0] = 1; // R is the identity
    });
    // A small-order public key is no trust anchor at all.
    let mut identity = [0; 32];
    identity[0] = 1;
    for mut runtime in runtimes() {
        assert_eq!(load(runtime.as_mut(), &Forged::default().file(), &identity), Err(Code::Malformed));
    }
}

/// Cases 4 and 5 of ed25519-speccheck (Chalkias, Garillot, Nikolaenko 2020): they satisfy
/// the verification equation with the cofactor and not without.
#[test]
fn case_11_valid_only_with_cofactor() {
    let cases = [
        (
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
            "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        ),
        (
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
            "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        ),
    ];
    let hex = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex"));
        pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
    };
    let mut wasmtime = Wasmtime::new(Bounds::default());
    for (key, message, signature) in cases {
        let key: [u8; 32] = hex(key).try_into().expect("32 bytes");
        let signature: [u8; 64] = hex(signature).try_into().expect("64 bytes");
        assert_eq!(wasmtime.instance.ed25519_verify(&key, &hex(message), &signature), Ok(false));
    }
}

#[test]
fn case_12_signature_of_another_length() {
    for length in [0, 1, 63, 65, 128] {
        check_envelope(|wrapped| wrapped.get_mut(2).items()[0].set(1, Cbor::Bytes(vec![7; length])), Code::Malformed);
    }
}

#[test]
fn signatures_are_over_exact_bytes() {
    // The same manifest, signed without the pre-authentication encoding.
    let forged = Forged::default();
    let mut wrapped = envelope(PAYLOAD_TYPE, &forged.manifest(), &[(1, 1)]);
    let plain = ed25519_dalek::Signer::sign(&key(1), &forged.manifest()).to_bytes().to_vec();
    wrapped.get_mut(2).items()[0].set(1, Cbor::Bytes(plain));
    check_file(&forged.file_with(&wrapped.encode()), Code::BadSignature);
}

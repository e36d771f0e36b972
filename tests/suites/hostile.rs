//! The table of hostile bundles, a test a row: never a trap, never a change to what
//! serves, always a stable code. Numbers are those of the design page `bundle.md`.

use tollgate_host::sandbox::Bounds;
use tollgate_scorer::Code;
use tollgate_scorer::bundle::PAYLOAD_TYPE;
use tollgate_tests::cbor::Cbor;
use tollgate_tests::forge::{self, Forged, doubles, envelope, key, public, shorts};
use tollgate_tests::{Native, Runtime, Wasmtime, runtimes};

const REQUEST: &[u8] = br#"{"features":{"ip_risk":60,"country":"BB"},"counter":1}"#;

/// The code of a load, after an honest bundle was loaded; the honest one must go on
/// scoring as before whatever the load brought.
fn load(runtime: &mut dyn Runtime, file: &[u8], keys: &[u8]) -> Result<(), Code> {
    runtime.load(&Forged::default().file(), &public(1), None, None).expect("the honest bundle loads");
    let before = runtime.score_json(REQUEST).expect("and scores");
    let result = runtime.load(file, keys, None, None);
    if result.is_err() {
        assert_eq!(runtime.score_json(REQUEST).as_ref(), Ok(&before), "{}: what served must go on", runtime.name());
    }
    result
}

#[track_caller]
fn check_file(file: &[u8], expect: Code) {
    for mut runtime in runtimes() {
        assert_eq!(load(runtime.as_mut(), file, &public(1)), Err(expect), "{}", runtime.name());
    }
}

#[track_caller]
fn check(forged: &Forged, expect: Code) {
    check_file(&forged.file(), expect);
}

#[track_caller]
fn check_manifest(change: fn(&mut Cbor), expect: Code) {
    check(&Forged { manifest: change, ..Forged::default() }, expect);
}

#[track_caller]
fn check_envelope(change: impl FnOnce(&mut Cbor), expect: Code) {
    let forged = Forged::default();
    let mut wrapped = envelope(PAYLOAD_TYPE, &forged.manifest(), &[(1, 1)]);
    change(&mut wrapped);
    check_file(&forged.file_with(&wrapped.encode()), expect);
}

#[test]
fn the_honest_bundle_scores() {
    for mut runtime in runtimes() {
        load(runtime.as_mut(), &Forged::default().file(), &public(1)).expect("loads");
        let record = runtime.score_json(REQUEST).expect("scores");
        assert!(record.contains(r#""action":"block""#) && record.contains(r#""margin":3.0"#), "{record}");
    }
}

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
fn case_13_duplicate_keys() {
    check_manifest(
        |manifest| {
            let Cbor::Map(entries) = manifest else { return };
            let first = entries[1].clone();
            entries.insert(1, first);
        },
        Code::Malformed,
    );
    check_envelope(
        |wrapped| {
            let Cbor::Map(entries) = wrapped else { return };
            let first = entries[0].clone();
            entries.insert(0, first);
        },
        Code::Malformed,
    );
}

#[test]
fn case_14_unknown_field_and_array_for_map() {
    check_manifest(|manifest| manifest.set(99, Cbor::Uint(1)), Code::Malformed);
    let as_array = |manifest: &mut Cbor| {
        if let Cbor::Map(entries) = manifest {
            *manifest = Cbor::Array(entries.iter().map(|entry| entry.1.clone()).collect());
        }
    };
    check_manifest(as_array, Code::Malformed);
    for role in ["schema", "model", "calibrator", "policy", "golden"] {
        let mut part = part(role);
        part.set(99, Cbor::Uint(1));
        check(&Forged::with(role, &part), Code::Malformed);
    }
}

/// An honest part to be changed.
fn part(role: &str) -> Cbor {
    match role {
        "schema" => forge::schema(),
        "model" => forge::forest(),
        "calibrator" => forge::calibrator(),
        "policy" => forge::policy(),
        _ => forge::golden(),
    }
}

#[test]
fn case_15_bytes_before_or_after() {
    let honest = Forged::default().file();
    check_file(&[&[0], honest.as_slice()].concat(), Code::Malformed);
    check_file(&[honest.as_slice(), &[0]].concat(), Code::Length);
    check_file(&[honest.as_slice(), honest.as_slice()].concat(), Code::Length);
    for role in ["schema", "model", "calibrator", "policy", "golden"] {
        let twice = [part(role).encode(), part(role).encode()].concat();
        check(&Forged::with_bytes(role, twice), Code::Malformed);
    }
}

#[test]
fn case_16_deep_nesting_and_huge_strings() {
    let huge_text = [0x7b, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].to_vec();
    let huge_array = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].to_vec();
    for bytes in [vec![0x81; 10_000], vec![0xa1; 10_000], huge_text, huge_array] {
        check(&Forged::with_bytes("schema", bytes), Code::Limit);
    }
    check_manifest(|manifest| *manifest = Cbor::Raw(vec![0x81; 10_000]), Code::Limit);
}

#[test]
fn case_17_wrong_numbers() {
    let mut negative = vec![0x20];
    for number in [
        Cbor::Float(1.0),
        Cbor::Raw(std::mem::take(&mut negative)),
        Cbor::Raw(vec![0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        Cbor::Raw(vec![0x18, 1]),
        Cbor::Raw(vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 1]),
        Cbor::Raw(vec![0xf9, 0x3c, 0]),
    ] {
        let mut golden = forge::golden();
        golden.set(0, number);
        check(&Forged::with("golden", &golden), Code::Malformed);
    }
    // Half and single floats where a double belongs.
    for float in [vec![0xf9, 0, 0], vec![0xfa, 0, 0, 0, 0]] {
        let mut golden = forge::golden();
        golden.set(3, Cbor::Raw(float));
        check(&Forged::with("golden", &golden), Code::Malformed);
    }
}

#[test]
fn case_18_numbers_that_are_not_finite() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut forest = forge::forest();
        forest.set(10, Cbor::Bytes(doubles(&[-2.0, number, 3.0])));
        check(&Forged::with("model", &forest), Code::Model);
        let mut policy = forge::policy();
        policy.set(3, Cbor::Map(vec![(0, Cbor::Float(number)), (1, Cbor::Float(0.9))]));
        check(&Forged::with("policy", &policy), Code::Policy);
        let mut policy = forge::policy();
        policy.set(3, Cbor::Map(vec![(0, Cbor::Float(0.5)), (1, Cbor::Float(number))]));
        check(&Forged::with("policy", &policy), Code::Policy);
        let mut calibrator = forge::calibrator();
        calibrator.set(3, Cbor::Bytes(doubles(&[number, 0.0])));
        check(&Forged::with("calibrator", &calibrator), Code::Policy);
    }
    let mut forest = forge::forest();
    forest.set(6, Cbor::Array(vec![Cbor::Bytes(doubles(&[f64::NAN])), Cbor::Bytes(vec![])]));
    check(&Forged::with("model", &forest), Code::Model);
}

#[test]
fn case_19_truncated_at_every_length() {
    let honest = Forged::default().file();
    let mut wasmtime = Wasmtime::new(Bounds::default());
    for length in 0..honest.len() {
        assert_eq!(load(&mut wasmtime, &honest[..length], &public(1)), Err(Code::Length), "length {length}");
        assert_eq!(load(&mut Native::default(), &honest[..length], &public(1)), Err(Code::Length), "length {length}");
    }
}

#[test]
fn case_20_part_sizes_that_overflow() {
    check_manifest(|m| m.get_mut(5).items()[1].set(2, Cbor::Uint(1 << 32)), Code::Limit);
    check_manifest(|m| m.get_mut(5).items()[1].set(2, Cbor::Uint(u64::MAX)), Code::Limit);
    let several = |m: &mut Cbor| (0..5).for_each(|part| m.get_mut(5).items()[part].set(2, Cbor::Uint(40 << 20)));
    check_manifest(several, Code::Limit);
}

#[test]
fn case_21_parts_missing_twice_or_unknown() {
    for index in 0..5 {
        let mut forged = Forged::default();
        forged.parts.remove(index);
        check(&forged, Code::Parts);
        let mut forged = Forged::default();
        forged.parts.push(forged.parts[index].clone());
        check(&forged, Code::Parts);
    }
    let mut forged = Forged::default();
    forged.parts.push(("native-code".into(), "elf".into(), vec![1, 2, 3]));
    check(&forged, Code::Parts);
}

#[test]
fn an_unknown_optional_part_is_reported() {
    let optional = |manifest: &mut Cbor| manifest.get_mut(5).items()[5].set(4, Cbor::Bool(false));
    let mut forged = Forged { manifest: optional, ..Forged::default() };
    forged.parts.push(("notes".into(), "text".into(), b"hello".to_vec()));
    let mut wasmtime = Wasmtime::new(Bounds::default());
    wasmtime.load(&forged.file(), &public(1), None, None).expect("optional");
    let described = wasmtime.instance.describe(wasmtime.bundle.expect("loaded")).expect("described");
    assert!(described.contains(r#""unknown_parts":1"#), "{described}");
}

#[test]
fn case_22_part_of_another_bundle() {
    let honest = Forged::default();
    let mut policy = forge::policy();
    policy.set(2, Cbor::Uint(0));
    let other = Forged::with("policy", &policy);
    let signed = envelope(PAYLOAD_TYPE, &honest.manifest(), &[(1, 1)]).encode();
    check_file(&other.file_with(&signed), Code::Digest);
}

#[test]
fn case_23_names_that_are_paths() {
    for name in ["../schema", "/etc/passwd", "schema\0", "sche ma", "Schema", ""] {
        let mut forged = Forged::default();
        forged.parts[0].0 = name.into();
        check(&forged, Code::Parts);
    }
}

#[test]
fn case_24_compressed_part() {
    // The first bytes of a gzip and a zstd stream; and a format that promises one.
    check(&Forged::with_bytes("model", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), Code::Malformed);
    let mut forged = Forged::default();
    forged.parts[1].1 = "forest/1+zstd".into();
    check(&forged, Code::Malformed);
}

#[test]
fn case_25_weak_digests() {
    for bytes in [16, 20] {
        let forged = Forged::default();
        let mut manifest = manifest(&forged);
        manifest.get_mut(5).items()[0].set(3, Cbor::Bytes(vec![7; bytes]));
        check_payload(&forged, &manifest.encode(), Code::Malformed);
    }
    check_manifest(|m| m.get_mut(5).items()[0].set(5, Cbor::text("md5")), Code::Malformed);
    check_manifest(|m| m.get_mut(5).items()[0].set(5, Cbor::text("sha1")), Code::Malformed);
}

/// The manifest of a forged bundle as a value.
fn manifest(forged: &Forged) -> Cbor {
    thread_local! {
        static SEEN: std::cell::RefCell<Option<Cbor>> = const { std::cell::RefCell::new(None) };
    }
    let spy = Forged { manifest: |m| SEEN.with(|seen| *seen.borrow_mut() = Some(m.clone())), ..forged.clone() };
    spy.manifest();
    SEEN.with(|seen| seen.borrow().clone()).expect("a manifest")
}

#[track_caller]
fn check_payload(forged: &Forged, payload: &[u8], expect: Code) {
    check_file(&forged.file_with(&envelope(PAYLOAD_TYPE, payload, &[(1, 1)]).encode()), expect);
}

#[test]
fn case_30_made_in_the_future() {
    let file = Forged::default().file();
    for mut runtime in runtimes() {
        let at = 1_700_000_000_000;
        assert_eq!(runtime.load(&file, &public(1), None, Some(at - 600_000)), Err(Code::NotYet));
        assert_eq!(runtime.load(&file, &public(1), None, Some(at - 60_000)), Ok(()));
    }
}

#[test]
fn case_33_an_older_bundle_under_this_digest() {
    let digest_of = |forged: &Forged| -> [u8; 32] {
        sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), forged.manifest())).into()
    };
    let old = Forged { manifest: |m| m.set(2, Cbor::text("0")), ..Forged::default() };
    let new = Forged::default();
    for mut runtime in runtimes() {
        assert_eq!(runtime.load(&new.file(), &public(1), Some(digest_of(&new)), None), Ok(()));
        assert_eq!(runtime.load(&old.file(), &public(1), Some(digest_of(&new)), None), Err(Code::Digest));
    }
}

#[test]
fn case_35_needs_a_newer_module() {
    check_manifest(|m| m.set(4, Cbor::Uint(2)), Code::Incompatible);
    check_manifest(|m| m.set(0, Cbor::Uint(2)), Code::Incompatible);
    let mut file = Forged::default().file();
    file[8] = 2;
    check_file(&file, Code::Incompatible);
}

#[test]
fn case_37_parts_disagree_about_features() {
    let mut renamed = forge::schema();
    renamed.get_mut(0).items()[0].set(0, Cbor::text("ip_rsik"));
    check(&Forged::with("schema", &renamed), Code::Schema);
    let mut swapped = forge::schema();
    swapped.get_mut(0).items().swap(0, 1);
    check(&Forged::with("schema", &swapped), Code::Schema);
    let mut fewer = forge::schema();
    fewer.get_mut(0).items().pop();
    check(&Forged::with("schema", &fewer), Code::Schema);
    let mut golden = forge::golden();
    golden.set(1, Cbor::Bytes(doubles(&[10.0, 60.0, 60.0])));
    check(&Forged::with("golden", &golden), Code::Schema);
    let mut policy = forge::policy();
    policy.set(6, Cbor::Array(vec![Cbor::Map(vec![(0, Cbor::text("g")), (1, Cbor::Array(vec![Cbor::Uint(9)]))])]));
    check(&Forged::with("policy", &policy), Code::Schema);
}

/// Node streams: splits, ranks, leaves.
#[track_caller]
fn check_trees(splits: &[u16], ranks: &[u16], leaves: &[f64], expect: Code) {
    let mut forest = forge::forest();
    forest.set(8, Cbor::Bytes(shorts(splits)));
    forest.set(9, Cbor::Bytes(shorts(ranks)));
    forest.set(10, Cbor::Bytes(doubles(leaves)));
    check(&Forged::with("model", &forest), expect);
}

/// Pre-order has no child indices, so cycles and lost nodes cannot be written; what can
/// be written wrong is refused.
#[test]
fn case_38_broken_trees() {
    const LEAF: u16 = 0xffff;
    check_trees(&[0, LEAF, 2, LEAF, LEAF], &[0, 0], &[1.0; 3], Code::Model); // unknown rule
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[1, 0], &[1.0; 3], Code::Model); // unknown threshold
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0, 1], &[1.0; 3], Code::Model); // a set has no second
    check_trees(&[0, LEAF, 1, LEAF], &[0, 0], &[1.0; 2], Code::Model); // a child is missing
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0, 0, 0], &[1.0; 3], Code::Model); // unreachable split
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0, 0], &[1.0; 4], Code::Model); // unreachable leaf
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0], &[1.0; 3], Code::Model); // a rank is missing
    check_trees(&[0; 50_000], &[0; 50_000], &[], Code::Model); // a chain without an end
    let mut forest = forge::forest();
    forest.get_mut(7).items()[0].set(0, Cbor::Uint(2));
    check(&Forged::with("model", &forest), Code::Model); // feature out of range
    let mut forest = forge::forest();
    forest.set(1, Cbor::Uint(2));
    check(&Forged::with("model", &forest), Code::Model); // one tree, two outputs
}

#[test]
fn case_39_calibrator_and_cutoffs_out_of_order() {
    for (kind, x, y) in [
        (2, vec![1.0, 0.0], vec![]),         // Platt that falls
        (1, vec![0.0, 1.0], vec![0.9, 0.1]), // isotonic that falls
        (1, vec![1.0, 0.0], vec![0.1, 0.9]), // knots out of order
        (1, vec![0.0, 1.0], vec![0.1, 1.1]), // beyond 1
        (1, vec![0.0, 1.0], vec![0.1]),      // a knot without a value
        (3, vec![-1.0, 1.0, 0.0], vec![]),   // beta that falls
    ] {
        let mut calibrator = forge::calibrator();
        calibrator.set(1, Cbor::Uint(kind));
        calibrator.set(2, Cbor::Uint(u64::from(kind == 3)));
        calibrator.set(3, Cbor::Bytes(doubles(&x)));
        calibrator.set(4, Cbor::Bytes(doubles(&y)));
        check(&Forged::with("calibrator", &calibrator), Code::Policy);
    }
    for (challenge, block) in [(0.9, 0.5), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)] {
        let mut policy = forge::policy();
        policy.set(3, Cbor::Map(vec![(0, Cbor::Float(challenge)), (1, Cbor::Float(block))]));
        check(&Forged::with("policy", &policy), Code::Policy);
    }
}

#[test]
fn case_40_golden_rows_differ() {
    for (key, numbers) in [(2, [-2.0, 1.0, 3.0000000000000004]), (4, [0.1, 0.2, 0.3])] {
        let mut golden = forge::golden();
        golden.set(key, Cbor::Bytes(doubles(&numbers)));
        check(&Forged::with("golden", &golden), Code::SelfTest);
    }
    let mut none = forge::golden();
    none.set(0, Cbor::Uint(0));
    [1, 2, 4].into_iter().for_each(|key| none.set(key, Cbor::Bytes(vec![])));
    check(&Forged::with("golden", &none), Code::SelfTest);
}

#[test]
fn case_42_buffer_changed_after_verification() {
    let file = Forged::default().file();
    let mut wasmtime = Wasmtime::new(Bounds::default());
    wasmtime.load(&file, &public(1), None, None).expect("loads");
    let before = wasmtime.score_json(REQUEST).expect("scores");
    // The host writes over every copy of the file that its calls left in guest memory.
    let memory = wasmtime.instance.memory_mut();
    let head = &file[..200];
    let places: Vec<usize> = (0..memory.len() - file.len()).filter(|at| memory[*at..].starts_with(head)).collect();
    for place in places {
        memory[place..place + file.len()].fill(0xff);
    }
    assert_eq!(wasmtime.score_json(REQUEST), Ok(before));
}

#[test]
fn case_43_memory_refused_half_way() {
    // The honest bundle fits into 4 MiB, one with a large model does not.
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 4 << 20, ..Bounds::default() });
    wasmtime.load(&Forged::default().file(), &public(1), None, None).expect("loads");
    let before = wasmtime.score_json(REQUEST).expect("scores");
    for megabytes in [1, 2, 3, 20, 64] {
        let large = Forged::with_bytes("model", vec![0; megabytes << 20]).file();
        assert_eq!(wasmtime.load(&large, &public(1), None, None), Err(Code::Limit), "{megabytes} MiB");
        assert_eq!(wasmtime.score_json(REQUEST), Ok(before.clone()));
    }
}

#[test]
fn a_missing_value_may_never_block() {
    for key in [7, 8] {
        let mut schema = forge::schema();
        schema.get_mut(0).items()[0].set(key, Cbor::Uint(2));
        check(&Forged::with("schema", &schema), Code::Schema);
    }
    // Nor may a row that is not scored for want of its required features.
    let mut policy = forge::policy();
    policy.set(2, Cbor::Uint(2));
    check(&Forged::with("policy", &policy), Code::Policy);
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

//! Cases 13 to 35: encodings, lengths, parts and digests.

use super::*;
use tollgate_host::sandbox::Bounds;
use tollgate_tests::{Native, Wasmtime};

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

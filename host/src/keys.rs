//! Key files: PKCS#8 and SPKI in PEM, as OpenSSL reads and writes them.

use crate::failure::{self, Failure, Result};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{SigningKey, VerifyingKey};
use std::io::Write;
use std::path::{Path, PathBuf};
use tollgate_scorer::trust::KeyId;

/// Bytes of the largest key file we read.
const KEY_FILE_BYTES: usize = 4096;

/// Draws a key from the operating system's randomness.
pub fn generate() -> Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failure::refused("RANDOM", error.to_string()))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Writes `NAME.key` (readable by the owner alone) and `NAME.pub`; never overwrites.
pub fn save(key: &SigningKey, name: &Path) -> Result<(PathBuf, PathBuf)> {
    let (secret_path, public_path) = (with_suffix(name, "key"), with_suffix(name, "pub"));
    let encoding = |error: &dyn std::fmt::Display| Failure::refused("KEY", error.to_string());
    // Without the public half, so that every OpenSSL reads it.
    let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let secret = pair.to_pkcs8_pem(LineEnding::LF).map_err(|error| encoding(&error))?;
    let public = key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|error| encoding(&error))?;
    if let Some(path) = [&secret_path, &public_path].into_iter().find(|path| path.exists()) {
        return Err(Failure::io(path, &std::io::ErrorKind::AlreadyExists.into()));
    }
    create(&secret_path, secret.as_bytes(), 0o600)?;
    create(&public_path, public.as_bytes(), 0o644)?;
    Ok((secret_path, public_path))
}

/// Reads a secret key.
pub fn load_secret(path: &Path) -> Result<SigningKey> {
    let pem = failure::read_text(path, KEY_FILE_BYTES)?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|error| {
        let advice = "expected an Ed25519 private key in PEM, as `tollgate keys new` writes";
        Failure::refused("KEY", format!("{}: {advice} ({error})", path.display()))
    })
}

/// Reads a public key.
pub fn load_public(path: &Path) -> Result<VerifyingKey> {
    let pem = failure::read_text(path, KEY_FILE_BYTES)?;
    VerifyingKey::from_public_key_pem(&pem).map_err(|error| {
        let advice = "expected an Ed25519 public key in PEM (the .pub file of `tollgate keys new`)";
        Failure::refused("KEY", format!("{}: {advice} ({error})", path.display()))
    })
}

/// A key's id as people see it.
pub fn id(key: &VerifyingKey) -> String {
    hex(&KeyId::of(key.as_bytes()).0)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 hexadecimal digits.
pub fn digest_from_hex(text: &str) -> Result<[u8; 32]> {
    let wrong = || Failure::usage(format!("{text:?} is no digest: 64 hexadecimal digits expected"));
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    path.into()
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(|error| Failure::io(path, &error))?;
    file.write_all(bytes).map_err(|error| Failure::io(path, &error))
}

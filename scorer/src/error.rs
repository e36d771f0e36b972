//! Errors with stable codes.
//!
//! The core says *what* is wrong and *where*; sentences for people are made at the
//! shells (command line, JavaScript). Codes never change their number.

use core::fmt;

/// What is wrong, as a stable number and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Code {
    /// The envelope carries no signature.
    Unsigned = 1,
    /// No signature verifies.
    BadSignature = 2,
    /// Bytes do not hash to the digest that is expected of them.
    Digest = 3,
    /// A signed document of another type.
    WrongType = 4,
    /// Signed, but by no key that is trusted here.
    UntrustedKey = 5,
    /// Bytes that no correct writer produces.
    Malformed = 6,
    /// Too short or too long for what it declares.
    Length = 7,
    /// A named bound of `limits` is exceeded, or memory is refused.
    Limit = 8,
    /// A part is missing, doubled or unknown.
    Parts = 9,
    /// The bundle needs a newer module.
    Incompatible = 10,
    /// The schema is wrong, or parts disagree about it.
    Schema = 11,
    /// The model is wrong.
    Model = 12,
    /// Calibrator or policy are wrong.
    Policy = 13,
    /// Golden rows do not come out as the trainer said.
    SelfTest = 14,
    /// Made in the future, beyond the allowed skew.
    NotYet = 15,
    /// A request that cannot be read.
    Request = 16,
    /// A call with arguments that make no sense (unknown handle, wrong row length).
    Misuse = 17,
}

impl Code {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 17] = [
        Self::Unsigned,
        Self::BadSignature,
        Self::Digest,
        Self::WrongType,
        Self::UntrustedKey,
        Self::Malformed,
        Self::Length,
        Self::Limit,
        Self::Parts,
        Self::Incompatible,
        Self::Schema,
        Self::Model,
        Self::Policy,
        Self::SelfTest,
        Self::NotYet,
        Self::Request,
        Self::Misuse,
    ];

    /// The stable name, as logs and scripts see it.
    ///
    /// ```
    /// assert_eq!(tollgate_scorer::Code::SelfTest.name(), "SELF_TEST");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "UNSIGNED",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::Digest => "DIGEST",
            Self::WrongType => "WRONG_TYPE",
            Self::UntrustedKey => "UNTRUSTED_KEY",
            Self::Malformed => "MALFORMED",
            Self::Length => "LENGTH",
            Self::Limit => "LIMIT",
            Self::Parts => "PARTS",
            Self::Incompatible => "INCOMPATIBLE",
            Self::Schema => "SCHEMA",
            Self::Model => "MODEL",
            Self::Policy => "POLICY",
            Self::SelfTest => "SELF_TEST",
            Self::NotYet => "NOT_YET",
            Self::Request => "REQUEST",
            Self::Misuse => "MISUSE",
        }
    }

    /// The code with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as i32 == number)
    }
}

/// An error of the core: a code, what was looked at, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// What was wrong, a short fixed phrase.
    pub what: &'static str,
    /// Where: a byte offset or an index, as `what` says.
    pub at: Option<u32>,
}

impl Error {
    /// An error without a place.
    pub const fn new(code: Code, what: &'static str) -> Self {
        Self { code, what, at: None }
    }

    /// The same error at a byte offset or index.
    pub fn at(self, at: usize) -> Self {
        Self { at: u32::try_from(at).ok(), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.what)?;
        match self.at {
            Some(at) => write!(f, " (at {at})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Error {}

/// Results of the core.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// `Ok` when the condition holds, else the error: guards read as sentences.
pub(crate) fn ensure(condition: bool, code: Code, what: &'static str) -> Result<()> {
    if condition { Ok(()) } else { Err(Error::new(code, what)) }
}

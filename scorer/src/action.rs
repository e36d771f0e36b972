//! The three actions.

/// What a decision asks for; ordered from exposure to safety.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    /// Let it pass.
    Allow = 0,
    /// Ask for more: a puzzle, a code, a review.
    Challenge = 1,
    /// Refuse.
    Block = 2,
}

impl Action {
    /// The three, in order.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Challenge, Self::Block];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Block => "block",
        }
    }

    /// The action with this number on the wire.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|action| *action as u32 == number)
    }

    /// The action with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

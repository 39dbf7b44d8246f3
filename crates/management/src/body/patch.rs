/// A field of a partial update.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Patch<T> {
    /// Not in the body: the value is kept.
    #[default]
    Absent,
    /// Null: the value is cleared.
    Null,
    /// The new value.
    Value(T),
}

impl<T> Patch<T> {
    /// The same patch of something that is made from the value.
    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(convert(value)),
        }
    }

    /// The value after the update.
    pub(crate) fn apply_to<U: From<T>>(self, current: Option<U>) -> Option<U> {
        match self {
            Self::Absent => current,
            Self::Null => None,
            Self::Value(value) => Some(value.into()),
        }
    }
}

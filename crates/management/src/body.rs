//! Reading request bodies: exact, strict, and with every problem named at once.
//!
//! Reading finds everything that can be told from the body and from what it names: types, unknown fields, bounds, what
//! fields say about each other, and ids of things that do not exist ([`Existing`]). What is left to the operations are
//! conflicts with the state of things.
//!
//! serde stops at the first error and reads numbers through a float. So a body is kept as text
//! ([`serde_json::value::RawValue`]) and read field by field: each reader pushes what is wrong, with its JSON pointer, and
//! reading goes on. A type says in one place ([`FromJson`]) how it is read and how it is described, so that the API
//! description cannot drift from what is accepted.

mod existing;
mod lists;
mod numbers;
pub(crate) mod object;
mod patch;
mod text;
mod words;

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};

use self::existing::References;
pub(crate) use existing::{Existing, McpClientName, Reference};
pub(crate) use lists::{AtLeastOne, AtMost};
pub(crate) use numbers::{Delta, RotationInterval, Weight, Within};
pub(crate) use object::{Object, nearest};
pub(crate) use patch::Patch;
pub(crate) use text::{Certificates, Description, Email, ModelEntry, Name, NotBlank, Reason, Tag};
pub(crate) use words::Secret;

use crate::problem::{Answer, FieldProblem, INCONSISTENT, Problem, UNKNOWN_REFERENCE};
use crate::state::ManagementParts;

/// How many problems of one body are told. Somebody who makes more mends a kind of them, not each.
const MAX_TOLD: usize = 1_000;
/// Longest pointer that is told, in characters; what the caller named can make it as long as the body.
const MAX_POINTER: usize = 1_000;

/// Schemas that others refer to by name.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

/// A value of the request and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub(crate) raw: &'a RawValue,
    pub(crate) pointer: String,
}

/// Everything found wrong so far, and the things that must exist for the rest to be right.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<FieldProblem>,
    references: References,
}

/// A type that stands in request bodies.
pub(crate) trait FromJson: Sized {
    /// Reads the value, or says what is wrong with it and yields nothing.
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self>;

    /// How the value looks in the API description; a reference for what has a name.
    fn schema() -> RefOr<Schema>;

    /// The named schemas that [`FromJson::schema`] refers to.
    fn schemas(_schemas: &mut Schemas) {}

    /// What the readable items of a list say about each other. They come with their places in the list at `pointer`.
    fn check_list(_items: &[(usize, Self)], _pointer: &str, _problems: &mut Problems) {}
}

impl Problems {
    pub(crate) fn push(
        &mut self,
        pointer: impl Into<String>,
        code: &str,
        message: impl Into<String>,
    ) {
        if self.are_told() {
            self.found.push(FieldProblem {
                param: shortened(pointer.into()),
                code: code.to_owned(),
                message: message.into(),
            });
        }
    }

    /// Whether one more problem would be told.
    pub(crate) fn are_told(&self) -> bool {
        self.found.len() < MAX_TOLD
    }

    /// A value of the right type that is not allowed.
    pub(crate) fn invalid(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.push(pointer, "invalid_value", message);
    }

    /// A value that is fine by itself, and not beside others of the body or what is stored.
    pub(crate) fn inconsistent(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.push(pointer, INCONSISTENT, message);
    }

    /// A well-formed id or name that nothing has.
    pub(crate) fn unknown(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.push(pointer, UNKNOWN_REFERENCE, message);
    }

    /// Notes that `reference` must exist for the value at `pointer` to be right.
    pub(crate) fn refer(&mut self, pointer: impl Into<String>, reference: Reference) {
        self.references.push(pointer.into(), reference);
    }

    #[cfg(test)]
    pub(crate) fn found(self) -> Vec<FieldProblem> {
        self.found
    }

    /// Nothing wrong, or all of it.
    pub(crate) fn into_result(self) -> Result<(), Problem> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_body(self.found))
        }
    }
}

/// A pointer of a length that can be read.
fn shortened(pointer: String) -> String {
    match pointer.char_indices().nth(MAX_POINTER) {
        Some((end, _)) => format!("{}…", pointer.get(..end).unwrap_or_default()),
        None => pointer,
    }
}

impl Node<'_> {
    pub(crate) fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    /// What kind of JSON it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.raw.get().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    pub(crate) fn wrong_type(&self, problems: &mut Problems, expected: &str) {
        problems.push(
            self.pointer.as_str(),
            "wrong_type",
            format!("expected {expected}, found {}", self.kind()),
        );
    }

    /// The text of a string.
    pub(crate) fn text(&self, problems: &mut Problems, expected: &str) -> Option<String> {
        if !self.raw.get().starts_with('"') {
            self.wrong_type(problems, expected);
            return None;
        }
        match serde_json::from_str::<String>(self.raw.get()) {
            Ok(text) if !text.contains('\0') => Some(text),
            _ => {
                problems.invalid(
                    self.pointer.as_str(),
                    "the text has characters that cannot be stored: a lone surrogate or a null character",
                );
                None
            }
        }
    }
}

/// Reads a whole body, and looks up what it names.
///
/// # Errors
/// Malformed JSON, or everything that is wrong with it.
pub(crate) async fn read_body<T: FromJson>(bytes: &[u8], parts: &ManagementParts) -> Answer<T> {
    read_body_about(bytes, parts, || std::future::ready(Ok(BTreeSet::new()))).await
}

/// As [`read_body`], about a thing that names `held` already: that may be named again, also when it does not exist any
/// longer, so that a thing can be sent back as it was read. It is asked for only when something does not exist.
///
/// # Errors
/// As [`read_body`].
pub(crate) async fn read_body_about<T: FromJson, H>(
    bytes: &[u8],
    parts: &ManagementParts,
    held: impl FnOnce() -> H,
) -> Answer<T>
where
    H: Future<Output = Answer<BTreeSet<Reference>>>,
{
    let (value, mut problems) = parse_body(bytes)?;
    let references = std::mem::take(&mut problems.references);
    references.check(parts, held, &mut problems).await?;
    finish_body(value, problems)
}

/// Reads a whole body as far as that needs no look at anything else.
fn parse_body<T: FromJson>(bytes: &[u8]) -> Answer<(Option<T>, Problems)> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| malformed(format!("the body is not valid JSON: {error}")))?;
    let mut problems = Problems::default();
    let node = Node {
        raw,
        pointer: String::new(),
    };
    let value = T::from_json(&node, &mut problems);
    Ok((value, problems))
}

fn finish_body<T>(value: Option<T>, problems: Problems) -> Answer<T> {
    problems.into_result()?;
    value.ok_or_else(|| malformed("the body could not be read".to_owned()))
}

fn malformed(message: String) -> Problem {
    Problem::invalid_body(vec![FieldProblem {
        param: String::new(),
        code: "malformed_json".to_owned(),
        message,
    }])
}

/// Reads a body that names nothing, or takes its word for what it names.
#[cfg(test)]
pub(crate) fn read_alone<T: FromJson>(bytes: &[u8]) -> Answer<T> {
    let (value, problems) = parse_body(bytes)?;
    finish_body(value, problems)
}

/// Defines a request body: the struct, its reader and its description in one.
///
/// Each field has a mode: `required`; `optional` (absent and null mean "not set"); `given` (may be absent, null is
/// refused); `patch` (absent, null and a value are three things). `ignoring [...]` names read-only fields that are
/// accepted and not looked at, so that a body that was read can be sent back. After the fields may stand
/// `check |object| { … }`, which looks at what the fields say about each other: in it each field is an option, `None`
/// when it could not be read; and `check_list path`, which becomes [`FromJson::check_list`].
macro_rules! body {
    (
        $(#[doc = $doc:literal])*
        struct $name:ident $(ignoring [$($ignored:literal),* $(,)?])? {
            $($(#[doc = $field_doc:literal])* $field:ident: $mode:ident $ty:ty,)*
        }
        $(check |$object:ident| $check:block)?
        $(check_list $check_list:path)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name {
            $($(#[doc = $field_doc])* pub(crate) $field: $crate::body::body!(@type $mode $ty),)*
        }

        impl $crate::body::FromJson for $name {
            fn from_json(
                node: &$crate::body::Node<'_>,
                problems: &mut $crate::body::Problems,
            ) -> Option<Self> {
                let mut object = $crate::body::Object::read(node, problems)?;
                $(let $field = object.$mode::<$ty>(stringify!($field));)*
                $({
                    let $object = &mut object;
                    $check
                })?
                object.finish(&[$($($ignored),*)?]);
                Some(Self { $($field: $field?,)* })
            }

            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::Ref::from_schema_name(stringify!($name)).into()
            }

            fn schemas(schemas: &mut $crate::body::Schemas) {
                $(<$ty as $crate::body::FromJson>::schemas(schemas);)*
                schemas.push((
                    stringify!($name).to_owned(),
                    <Self as utoipa::PartialSchema>::schema(),
                ));
            }

            $(fn check_list(
                items: &[(usize, Self)],
                pointer: &str,
                problems: &mut $crate::body::Problems,
            ) {
                $check_list(items, pointer, problems);
            })?
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let object = $crate::body::object::describe(concat!($($doc),*));
                $(let object = $crate::body::object::describe_field(
                    object,
                    stringify!($field),
                    concat!("" $(, $field_doc)*),
                    stringify!($mode),
                    <$ty as $crate::body::FromJson>::schema(),
                );)*
                let object = $crate::body::object::describe_ignored(object, &[$($($ignored),*)?]);
                object.into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schemas(schemas: &mut $crate::body::Schemas) {
                $(<$ty as $crate::body::FromJson>::schemas(schemas);)*
            }
        }
    };
    (@type required $ty:ty) => { $ty };
    (@type optional $ty:ty) => { Option<$ty> };
    (@type given $ty:ty) => { Option<$ty> };
    (@type patch $ty:ty) => { $crate::body::Patch<$ty> };
}

pub(crate) use body;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_bodies_say_where() {
        let cut = read_alone::<bool>(b"{").unwrap_err();
        let message = "the body is not valid JSON: EOF while parsing an object at line 1 column 1";
        assert_eq!(cut.message, message);
        assert!(read_alone::<bool>(b"\xff").is_err());
        assert!(read_alone::<bool>(b"").is_err());
        assert!(read_alone::<String>(br#""\ud800""#).is_err());
        let deep = "[".repeat(100_000);
        assert!(read_alone::<Vec<bool>>(deep.as_bytes()).is_err());
    }

    body! {
        /// For the tests.
        struct Small {
            /// Anything.
            name: optional String,
        }
    }

    #[test]
    fn refusals_stay_small_whatever_is_sent() {
        let many = format!("[{}]", vec!["1"; 100_000].join(","));
        let refused = read_alone::<Vec<bool>>(many.as_bytes()).unwrap_err();
        assert_eq!(refused.errors.len(), MAX_TOLD);
        let fields: Vec<String> = (0..100_000).map(|n| format!(r#""f{n}":1"#)).collect();
        let fields = format!("{{{}}}", fields.join(","));
        let refused = read_alone::<Small>(fields.as_bytes()).unwrap_err();
        assert_eq!(refused.errors.len(), MAX_TOLD);
        let long = format!(r#"{{"{}":1}}"#, "n".repeat(3_000_000));
        let refused = read_alone::<Small>(long.as_bytes()).unwrap_err();
        let written = serde_json::to_vec(&refused.errors).unwrap();
        assert!(written.len() < 2 * MAX_POINTER, "{}", written.len());
    }
}

//! Texts that are one of few, or that a parser of their own reads.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{OnUnknownPrice, Reservation, ToolAction};
use tollgate_domain::ids::{
    BusinessUnitId, CustomerId, McpClientId, PermissionId, ProfileId, ProviderKeyId, RoleId,
    TeamId, ToolGroupId, UserId, VirtualKeyId,
};
use tollgate_domain::limits::ResetDuration;
use tollgate_domain::permission::Permission;
use tollgate_domain::provider::{ProviderName, ProviderType};
use tollgate_domain::time::Zone;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

use super::{FromJson, Node, Problems};

fn plain(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

impl FromJson for String {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        node.text(problems, "a string")
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::String).into()
    }
}

/// A secret of the request: not shown by `Debug`.
#[derive(Debug, Clone)]
pub(crate) struct Secret(pub(crate) SecretString);

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret as _;
        use subtle::ConstantTimeEq as _;
        let (mine, theirs) = (self.0.expose_secret(), other.0.expose_secret());
        mine.as_bytes().ct_eq(theirs.as_bytes()).into()
    }
}

impl FromJson for Secret {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        node.text(problems, "a string")
            .map(|text| Self(SecretString::from(text)))
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::String).write_only(true).into()
    }
}

/// What its own parser reads from a text.
fn parsed<T>(node: &Node<'_>, problems: &mut Problems, expected: &str) -> Option<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let text = node.text(problems, expected)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            problems.invalid(node.pointer.as_str(), error.to_string());
            None
        }
    }
}

macro_rules! texts {
    ($($ty:ty, $expected:literal, |$schema:ident| $described:expr;)+) => {$(
        impl FromJson for $ty {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                parsed(node, problems, $expected)
            }

            fn schema() -> RefOr<Schema> {
                let $schema = plain(Type::String);
                $described.into()
            }
        }
    )+};
}

macro_rules! ids {
    ($($ty:ident)+) => {$(
        impl FromJson for $ty {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                parsed(node, problems, "an id")
            }

            fn schema() -> RefOr<Schema> {
                plain(Type::String)
                    .pattern(Some(format!("^{}_[0-9a-f]{{32}}$", Self::PREFIX)))
                    .into()
            }
        }
    )+};
}

macro_rules! integer_ids {
    ($($ty:ident)+) => {$(
        impl FromJson for $ty {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                let id = u64::from_json(node, problems)?;
                i64::try_from(id).ok().map(Self)
            }

            fn schema() -> RefOr<Schema> {
                u64::schema()
            }
        }
    )+};
}

texts! {
    Timestamp, "an instant in RFC 3339", |text| text
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    ProviderName, "a provider name", |text| text.pattern(Some("^[a-z0-9][a-z0-9_.-]{0,63}$"));
}

ids! { UserId VirtualKeyId TeamId CustomerId BusinessUnitId ProviderKeyId McpClientId }
integer_ids! { ProfileId RoleId ToolGroupId }

impl FromJson for PermissionId {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let id = Self(i64::from_json(node, problems)?);
        if Permission::from_id(id).is_none() {
            problems.invalid(
                node.pointer.as_str(),
                format!(
                    "no permission `{id}` exists; `/api/governance/rbac/permissions` lists all"
                ),
            );
            return None;
        }
        Some(id)
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::Integer)
            .enum_values(Some(Permission::all().map(|each| each.id().0)))
            .into()
    }
}

/// The list of zones is not ours, so a name that is not in it is an unknown reference.
impl FromJson for Zone {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems, "an IANA time zone")?;
        match text.parse() {
            Ok(zone) => Some(zone),
            Err(error) => {
                let error: <Self as FromStr>::Err = error;
                problems.unknown(node.pointer.as_str(), error.to_string());
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::String).examples(["Europe/Berlin"]).into()
    }
}

/// One of a closed list of words.
fn word<T: Copy>(
    node: &Node<'_>,
    problems: &mut Problems,
    words: &[(&'static str, T)],
) -> Option<T> {
    let text = node.text(problems, "a string")?;
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let shown: String = text.chars().take(80).collect();
        problems.invalid(
            node.pointer.as_str(),
            format!("`{shown}` is not one of `{}`", known.join("`, `")),
        );
    }
    found
}

macro_rules! words {
    ($($ty:ty { $($word:literal => $value:expr),+ $(,)? })+) => {$(
        impl FromJson for $ty {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                word(node, problems, &[$(($word, $value)),+])
            }

            fn schema() -> RefOr<Schema> {
                plain(Type::String).enum_values(Some([$($word),+])).into()
            }
        }
    )+};
}

words! {
    Reservation { "estimate" => Self::Estimate, "bound" => Self::Bound }
    OnUnknownPrice { "deny" => Self::Deny, "allow" => Self::Allow }
    ToolAction { "include" => Self::Include, "exclude" => Self::Exclude }
    ProviderType {
        "openai" => Self::OpenAi,
        "anthropic" => Self::Anthropic,
        "gemini" => Self::Gemini,
        "sandbox" => Self::Sandbox,
    }
    ResetDuration {
        "1m" => Self::Minute,
        "1h" => Self::Hour,
        "1d" => Self::Day,
        "1w" => Self::Week,
        "1M" => Self::Month,
        "1Q" => Self::Quarter,
        "1Y" => Self::Year,
    }
}

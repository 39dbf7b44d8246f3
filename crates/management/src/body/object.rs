//! Objects: every field is asked for once, and what nobody asked for is refused by name.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};

use super::{FromJson, Node, Patch, Problems, Reference};

/// How far a name may be from a known one to be taken for a slip of the pen.
const SIMILAR_ENOUGH: f64 = 0.75;
/// A longer name, in bytes, is no slip: comparing takes the product of the lengths, and callers choose one of them.
const LONGEST_SLIP: usize = 64;

/// An object of the request, while it is read.
pub(crate) struct Object<'a, 'p> {
    pointer: String,
    fields: Vec<(String, &'a RawValue)>,
    known: Vec<&'static str>,
    problems: &'p mut Problems,
}

/// An object's fields in their order, duplicates included.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a, 'p> Object<'a, 'p> {
    pub(crate) fn read(node: &Node<'a>, problems: &'p mut Problems) -> Option<Self> {
        if !node.raw.get().starts_with('{') {
            node.wrong_type(problems, "an object");
            return None;
        }
        let mut deserializer = serde_json::Deserializer::from_str(node.raw.get());
        match deserializer.deserialize_map(FieldsVisitor) {
            Ok(Fields(fields)) => {
                refuse_twice(&fields, &node.pointer, problems);
                Some(Self {
                    pointer: node.pointer.clone(),
                    fields,
                    known: Vec::new(),
                    problems,
                })
            }
            Err(error) => {
                problems.invalid(node.pointer.as_str(), format!("not readable: {error}"));
                None
            }
        }
    }

    /// The field, and whether it is null.
    fn take(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.known.push(name);
        let (_, raw) = self.fields.iter().find(|(key, _)| key == name)?;
        let pointer = child(&self.pointer, name);
        Some(Node { raw, pointer })
    }

    pub(crate) fn required<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        match self.take(name) {
            Some(node) if !node.is_null() => T::from_json(&node, self.problems),
            _ => {
                let pointer = child(&self.pointer, name);
                self.problems
                    .push(pointer, "required", format!("`{name}` is required"));
                None
            }
        }
    }

    #[expect(
        clippy::option_option,
        reason = "outside: was it readable; inside: was it there"
    )]
    pub(crate) fn optional<T: FromJson>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take(name) {
            Some(node) if !node.is_null() => T::from_json(&node, self.problems).map(Some),
            _ => Some(None),
        }
    }

    #[expect(
        clippy::option_option,
        reason = "outside: was it readable; inside: was it there"
    )]
    pub(crate) fn given<T: FromJson>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take(name) {
            Some(node) if node.is_null() => {
                self.problems.push(
                    node.pointer,
                    "wrong_type",
                    format!("`{name}` cannot be null; leave it out to keep its value"),
                );
                None
            }
            Some(node) => T::from_json(&node, self.problems).map(Some),
            None => Some(None),
        }
    }

    pub(crate) fn patch<T: FromJson>(&mut self, name: &'static str) -> Option<Patch<T>> {
        match self.take(name) {
            Some(node) if node.is_null() => Some(Patch::Null),
            Some(node) => T::from_json(&node, self.problems).map(Patch::Value),
            None => Some(Patch::Absent),
        }
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.has_at(&[name])
    }

    /// Whether this place inside of the object is there and not null. What cannot be read has nothing in it.
    pub(crate) fn has_at(&self, place: &[&str]) -> bool {
        let Some((name, inner)) = place.split_first() else {
            return true;
        };
        let found = self.fields.iter().find(|(key, _)| key == name);
        found.is_some_and(|(_, raw)| has_at(raw, inner))
    }

    /// Notes that something must exist for the field to be right.
    pub(crate) fn refer(&mut self, name: &str, reference: Reference) {
        let pointer = child(&self.pointer, name);
        self.problems.refer(pointer, reference);
    }

    /// A field, or with an empty name the whole object, that does not fit the others.
    pub(crate) fn inconsistent(&mut self, name: &str, message: impl Into<String>) {
        let place: &[&str] = if name.is_empty() { &[] } else { &[name] };
        self.inconsistent_at(place, message);
    }

    /// A value that is not allowed where it stands.
    pub(crate) fn invalid_at(&mut self, place: &[&str], message: impl Into<String>) {
        let pointer = self.place(place);
        self.problems.invalid(pointer, message);
    }

    fn place(&self, place: &[&str]) -> String {
        let whole = self.pointer.clone();
        place
            .iter()
            .fold(whole, |pointer, name| child(&pointer, name))
    }

    /// The same for a place inside of a field.
    pub(crate) fn inconsistent_at(&mut self, place: &[&str], message: impl Into<String>) {
        let pointer = self.place(place);
        self.problems.inconsistent(pointer, message);
    }

    /// The fields as they are, for objects whose names are data.
    pub(crate) fn into_fields(self) -> Vec<(String, &'a RawValue)> {
        self.fields
    }

    /// Refuses every field that was not asked for.
    pub(crate) fn finish(self, ignored: &[&'static str]) {
        for (name, _) in &self.fields {
            if self.known.contains(&name.as_str()) || ignored.contains(&name.as_str()) {
                continue;
            }
            if !self.problems.are_told() {
                return;
            }
            let shown: String = name.chars().take(80).collect();
            let message = match nearest(name, &self.known) {
                Some(known) => format!("unknown field `{shown}`; did you mean `{known}`?"),
                None => format!(
                    "unknown field `{shown}`; known are `{}`",
                    self.known.join("`, `")
                ),
            };
            self.problems
                .push(child(&self.pointer, name), "unknown_field", message);
        }
    }
}

fn has_at(raw: &RawValue, place: &[&str]) -> bool {
    let Some((name, inner)) = place.split_first() else {
        return raw.get() != "null";
    };
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let fields = deserializer.deserialize_map(FieldsVisitor);
    fields.is_ok_and(|Fields(fields)| {
        let found = fields.iter().find(|(key, _)| key == name);
        found.is_some_and(|(_, raw)| has_at(raw, inner))
    })
}

/// Two parsers could take different ones of two fields with one name.
fn refuse_twice(fields: &[(String, &RawValue)], pointer: &str, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (name, _) in fields {
        if !seen.insert(name) {
            let shown: String = name.chars().take(80).collect();
            problems.invalid(child(pointer, name), format!("`{shown}` stands here twice"));
        }
    }
}

/// The pointer to a member, escaped as RFC 6901 says.
pub(crate) fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The known name that this one is a slip of the pen for.
pub(crate) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if name.len() > LONGEST_SLIP {
        return None;
    }
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), *known))
        .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
            fields.push(entry);
        }
        Ok(Fields(fields))
    }
}

/// The description of an object that takes no unknown fields.
pub(crate) fn describe(doc: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .description(Some(doc.trim().to_owned()))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

/// The same with one more field.
pub(crate) fn describe_field(
    object: ObjectBuilder,
    name: &str,
    doc: &str,
    mode: &str,
    schema: RefOr<Schema>,
) -> ObjectBuilder {
    let is_nullable = matches!(mode, "optional" | "patch");
    let schema = described(
        if is_nullable {
            nullable(schema)
        } else {
            schema
        },
        doc.trim(),
    );
    let object = object.property(name, schema);
    if mode == "required" {
        object.required(name)
    } else {
        object
    }
}

/// The same with fields that are taken and not looked at.
pub(crate) fn describe_ignored(object: ObjectBuilder, ignored: &[&str]) -> ObjectBuilder {
    ignored.iter().fold(object, |object, name| {
        object.property(
            *name,
            ObjectBuilder::new()
                .schema_type(SchemaType::AnyValue)
                .read_only(true)
                .description(Some("Read only: accepted and ignored.")),
        )
    })
}

fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .item(schema)
        .into()
}

fn described(schema: RefOr<Schema>, doc: &str) -> RefOr<Schema> {
    let description = (!doc.is_empty()).then(|| doc.to_owned());
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if description.is_some() {
                object.description = description;
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = description;
            RefOr::T(Schema::Array(array))
        }
        RefOr::T(Schema::OneOf(mut one_of)) => {
            one_of.description = description;
            RefOr::T(Schema::OneOf(one_of))
        }
        RefOr::Ref(mut reference) => {
            reference.description = description.unwrap_or_default();
            RefOr::Ref(reference)
        }
        other @ RefOr::T(_) => other,
    }
}

//! Lists, and objects whose names are data.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde_json::value::RawValue;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type};

use super::object::child;
use super::{FromJson, Node, Object, Problems, Schemas};

/// A list of at most `MOST` items.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AtMost<const MOST: usize, T>(pub(crate) Vec<T>);

/// The items as they are written.
fn items<'a>(node: &Node<'a>, problems: &mut Problems) -> Option<Vec<&'a RawValue>> {
    let items = node.raw.get().starts_with('[').then(|| node.raw.get());
    let items = items.and_then(|text| serde_json::from_str(text).ok());
    if items.is_none() {
        node.wrong_type(problems, "an array");
    }
    items
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let raw = items(node, problems)?;
        let wanted = raw.len();
        let read: Vec<(usize, T)> = raw
            .into_iter()
            .enumerate()
            .filter_map(|(index, raw)| {
                let pointer = format!("{}/{index}", node.pointer);
                Some((index, T::from_json(&Node { raw, pointer }, problems)?))
            })
            .collect();
        T::check_list(&read, &node.pointer, problems);
        let is_whole = read.len() == wanted;
        is_whole.then(|| read.into_iter().map(|(_, item)| item).collect())
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).into()
    }

    fn schemas(schemas: &mut Schemas) {
        T::schemas(schemas);
    }
}

impl<const MOST: usize, T: FromJson> FromJson for AtMost<MOST, T> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let length = items(node, problems)?.len();
        if length > MOST {
            problems.push(
                node.pointer.as_str(),
                "too_many",
                format!("at most {MOST} are possible here, these are {length}"),
            );
        }
        Vec::from_json(node, problems).map(Self)
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(T::schema())
            .max_items(Some(MOST))
            .into()
    }

    fn schemas(schemas: &mut Schemas) {
        T::schemas(schemas);
    }
}

/// A list that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AtLeastOne<T>(Vec<T>);

impl<T> Deref for AtLeastOne<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: FromJson> FromJson for AtLeastOne<T> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let items = Vec::from_json(node, problems)?;
        if items.is_empty() {
            problems.invalid(node.pointer.as_str(), "name at least one");
            return None;
        }
        Some(Self(items))
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(T::schema())
            .min_items(Some(1))
            .into()
    }

    fn schemas(schemas: &mut Schemas) {
        T::schemas(schemas);
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let fields = Object::read(node, problems)?.into_fields();
        let wanted = fields.len();
        let mut map = Self::new();
        for (key, raw) in fields {
            let pointer = child(&node.pointer, &key);
            if let Some(value) = T::from_json(&Node { raw, pointer }, problems) {
                map.insert(key, value);
            }
        }
        (map.len() == wanted).then_some(map)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::RefOr(T::schema())))
            .into()
    }

    fn schemas(schemas: &mut Schemas) {
        T::schemas(schemas);
    }
}

use std::ops::Deref;

use utoipa::openapi::{ArrayBuilder, RefOr, Schema};

use super::{FromJson, Node, Problems, Schemas};

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

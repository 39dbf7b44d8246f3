//! What every request and answer has, said once.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ObjectBuilder, OpenApi, Ref, RefOr, Response, Schema, Type};

use super::operations_mut;

/// What an answer is when its body says nothing of itself.
const DONE: &str = "Done.";

/// Gives every answer its request id, and answers of success what their body is as description; takes null out of
/// parameters and bodies.
pub(super) fn complete(document: &mut OpenApi) {
    let schemas = document
        .components
        .as_ref()
        .map(|components| components.schemas.clone())
        .unwrap_or_default();
    let descriptions: BTreeMap<String, String> = schemas
        .into_iter()
        .filter_map(|(name, schema)| Some((name, description(schema)?)))
        .collect();
    for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter {
                parameter.schema = parameter.schema.take().map(never_null);
            }
        }
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            for content in body.content.values_mut() {
                if let RefOr::T(content) = content {
                    content.schema = content.schema.take().map(never_null);
                }
            }
        }
        for response in operation.responses.responses.values_mut() {
            let RefOr::T(response) = response else {
                continue;
            };
            if response.description.is_empty() {
                response.description = body_name(response)
                    .and_then(|name| descriptions.get(name).cloned())
                    .unwrap_or_else(|| DONE.to_owned());
            }
            let header = HeaderBuilder::new()
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .description(Some("Names the request, also in our logs."));
            response
                .headers
                .insert("x-request-id".to_owned(), header.build().into());
        }
    }
}

/// A parameter or a whole body that is not sent is not there, which is not null.
fn never_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(types) = &object.schema_type
                && let [kind, Type::Null] | [Type::Null, kind] = types.as_slice()
            {
                object.schema_type = SchemaType::Type(kind.clone());
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::OneOf(mut one_of)) => {
            one_of.items.retain(|item| !is_null(item));
            match one_of.items.pop() {
                Some(only) if one_of.items.is_empty() => only,
                last => {
                    one_of.items.extend(last);
                    RefOr::T(Schema::OneOf(one_of))
                }
            }
        }
        other => other,
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

fn description(schema: RefOr<Schema>) -> Option<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.description,
        _ => None,
    }
}

/// The name of the schema of a response's body.
fn body_name(response: &Response) -> Option<&str> {
    let RefOr::T(content) = response.content.get("application/json")? else {
        return None;
    };
    match content.schema.as_ref()? {
        RefOr::Ref(Ref { ref_location, .. }) => ref_location.rsplit('/').next(),
        RefOr::T(_) => None,
    }
}

//! What every answer has, said once.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ObjectBuilder, OpenApi, Ref, RefOr, Response, Schema, Type};

use super::operations_mut;

/// What an answer is when its body says nothing of itself.
const DONE: &str = "Done.";

/// Gives every answer its request id, and answers of success what their body is as description.
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

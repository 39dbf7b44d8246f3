use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};

use crate::problem::Problem;

/// The version that the caller believes to be the current one, when the request says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfMatch(Option<i64>);

impl IfMatch {
    /// Refuses when the caller named a version and it is not `current`.
    pub(crate) fn check(self, current: i64) -> Result<(), Problem> {
        match self.0 {
            Some(expected) if expected != current => Err(Problem::stale(current)),
            _ => Ok(()),
        }
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let version = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r#"^("[0-9]{1,18}"|\*)$"#));
        let parameter = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The `ETag` of the answer that the change is based on"))
            .schema(Some(version));
        vec![parameter.build()]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        if values.next().is_some() {
            return Err(Problem::invalid(
                "",
                "`If-Match` was sent twice; send one version",
            ));
        }
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        text.strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(|version| Self(Some(version)))
            .ok_or_else(|| {
                Problem::invalid(
                    "",
                    "`If-Match` must be the `ETag` of an earlier answer, such as `\"3\"`",
                )
            })
    }
}

/// The header that names a version.
pub(crate) type ETag = [(HeaderName, HeaderValue); 1];

/// The header that names this version.
pub(crate) fn etag(version: i64) -> ETag {
    let value = HeaderValue::from_str(&format!("\"{version}\""))
        .unwrap_or(HeaderValue::from_static("\"0\""));
    [(header::ETAG, value)]
}

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::problem::Problem;

/// The parameters of the matched route, in their order.
///
/// They are read one by one so that a text that cannot be an id is answered as what it is: an id that nothing has.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

/// What can stand in a path.
pub(crate) trait PathParam: Sized {
    /// What is looked for, for the message of a 404.
    const THING: &'static str;

    fn from_path(text: &str) -> Option<Self>;
}

fn next<T: PathParam>(params: &mut dyn Iterator<Item = String>) -> Result<T, Problem> {
    let text = params.next().unwrap_or_default();
    T::from_path(&text).ok_or_else(|| Problem::not_found(T::THING, text))
}

/// Fixed numbers of parameters.
pub(crate) trait PathParams: Sized {
    fn read(params: &mut dyn Iterator<Item = String>) -> Result<Self, Problem>;
}

impl<A: PathParam> PathParams for A {
    fn read(params: &mut dyn Iterator<Item = String>) -> Result<Self, Problem> {
        next(params)
    }
}

impl<A: PathParam, B: PathParam> PathParams for (A, B) {
    fn read(params: &mut dyn Iterator<Item = String>) -> Result<Self, Problem> {
        Ok((next(params)?, next(params)?))
    }
}

impl<A: PathParam, B: PathParam, C: PathParam> PathParams for (A, B, C) {
    fn read(params: &mut dyn Iterator<Item = String>) -> Result<Self, Problem> {
        Ok((next(params)?, next(params)?, next(params)?))
    }
}

impl<T: PathParams, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("path", "that is not UTF-8"))?;
        T::read(&mut params.iter().map(|(_, value)| value.to_owned())).map(Self)
    }
}

macro_rules! path_params {
    ($($ty:ty = $thing:literal;)+) => {$(
        impl PathParam for $ty {
            const THING: &'static str = $thing;

            fn from_path(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+};
}

macro_rules! integer_path_params {
    ($($ty:ident = $thing:literal;)+) => {$(
        impl PathParam for tollgate_domain::ids::$ty {
            const THING: &'static str = $thing;

            fn from_path(text: &str) -> Option<Self> {
                let is_canonical = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                is_canonical.then(|| text.parse().ok().map(Self)).flatten()
            }
        }
    )+};
}

path_params! {
    tollgate_domain::ids::UserId = "user";
    tollgate_domain::ids::VirtualKeyId = "virtual key";
    tollgate_domain::ids::BudgetId = "budget";
    tollgate_domain::ids::TeamId = "team";
    tollgate_domain::ids::CustomerId = "customer";
    tollgate_domain::ids::BusinessUnitId = "business unit";
    tollgate_domain::ids::ModelConfigId = "model config";
    tollgate_domain::ids::ProviderKeyId = "provider key";
    tollgate_domain::ids::ManagementKeyId = "management key";
    tollgate_domain::ids::McpClientId = "MCP client";
    tollgate_domain::ids::RequestId = "request";
    tollgate_domain::ids::AuditEntryId = "delivery";
    tollgate_domain::ids::WebhookId = "webhook";
    tollgate_domain::provider::ProviderName = "provider";
}

integer_path_params! {
    ProfileId = "access profile";
    RoleId = "role";
    ToolGroupId = "tool group";
}

/// Longest name of a model, in characters.
const MAX_MODEL: usize = 512;

/// A version number of an access profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VersionNumber(pub(crate) i64);

impl PathParam for VersionNumber {
    const THING: &'static str = "version";

    fn from_path(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// A model's name: free text that can be stored, and no longer than bodies may name one.
impl PathParam for String {
    const THING: &'static str = "model";

    fn from_path(text: &str) -> Option<Self> {
        let is_name = !text.is_empty() && !text.contains('\0') && text.chars().count() <= MAX_MODEL;
        is_name.then(|| text.to_owned())
    }
}

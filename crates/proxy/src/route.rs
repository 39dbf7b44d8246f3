//! Which paths belong to the data plane, and what they mean.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;
use tollgate_domain::access::Endpoint;

/// A known path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    /// Work for a model.
    Model(Endpoint),
    /// The models that the caller may use.
    Models,
    /// One of them.
    OneModel(Cow<'p, str>),
    /// Under our prefix, but nothing that we serve.
    Unknown,
}

impl<'p> Route<'p> {
    /// The route of `path`; `None` when the path is none of ours. Both base URLs work with and without `/v1`.
    pub(crate) fn of(path: &'p str) -> Option<Self> {
        let (rest, is_ours) = strip_base(path);
        let known = match rest {
            "/chat/completions" => Some(Self::Model(Endpoint::ChatCompletions)),
            "/embeddings" => Some(Self::Model(Endpoint::Embeddings)),
            "/models" => Some(Self::Models),
            _ => rest
                .strip_prefix("/models/")
                .filter(|id| !id.is_empty())
                .and_then(|id| percent_decode_str(id).decode_utf8().ok())
                .map(Self::OneModel),
        };
        known.or(is_ours.then_some(Self::Unknown))
    }

    /// The method that the route takes.
    pub(crate) const fn method(&self) -> Method {
        match self {
            Self::Model(_) => Method::POST,
            Self::Models | Self::OneModel(_) | Self::Unknown => Method::GET,
        }
    }

    /// As metrics and spans name it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Model(endpoint) => endpoint.as_str(),
            Self::Models | Self::OneModel(_) => "models",
            Self::Unknown => "unknown",
        }
    }
}

/// What follows the base URL, and whether there was one.
fn strip_base(path: &str) -> (&str, bool) {
    for base in ["/openai/v1", "/openai", "/v1"] {
        if let Some(rest) = path.strip_prefix(base)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return (rest, true);
        }
    }
    (path, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_base_urls_work_with_and_without_v1() {
        for base in ["", "/v1", "/openai", "/openai/v1"] {
            let check = |path: &str, expect: Route<'_>| {
                assert_eq!(
                    Route::of(&format!("{base}{path}")),
                    Some(expect),
                    "{base}{path}"
                );
            };
            check("/chat/completions", Route::Model(Endpoint::ChatCompletions));
            check("/embeddings", Route::Model(Endpoint::Embeddings));
            check("/models", Route::Models);
            check(
                "/models/openai/gpt-5",
                Route::OneModel("openai/gpt-5".into()),
            );
            check(
                "/models/openai%2Fgpt-5",
                Route::OneModel("openai/gpt-5".into()),
            );
        }
    }

    #[test]
    fn other_paths_are_unknown_or_not_ours() {
        for path in [
            "/v1",
            "/v1/",
            "/v1/models/",
            "/openai",
            "/v1/chat",
            "/v1/chat/completions/",
        ] {
            assert_eq!(Route::of(path), Some(Route::Unknown), "{path}");
        }
        for path in [
            "/",
            "/health",
            "/api/v1/models",
            "/v12/models",
            "/openaix",
            "/V1/models",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}

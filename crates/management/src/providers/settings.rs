//! What may be said of a provider: the pure part of create and update.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tollgate_domain::address::AddressClass;
use tollgate_domain::provider::{NetworkSettings, ProviderName, ProviderType};
use url::{Host, Url};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

use crate::body::object::child;
use crate::body::{Certificates, FromJson, Node, Problems, Secret, Within, body};
use crate::problem::UNUSABLE_ADDRESS;

/// What answers show instead of a secret. Sent back, it means: keep the secret.
pub(crate) const MASK: &str = "********";

/// Where a mask is sent and there is nothing that it could keep.
pub(crate) const NO_VALUE: &str = "a mask keeps a value, and none is stored for this; enter it";

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
const DEFAULT_RETRIES: u32 = 1;
const DEFAULT_BACKOFF: Duration = Duration::from_millis(500);
const DEFAULT_BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Milliseconds, ten minutes at most.
type Backoff = Within<0, 600_000>;

/// Names at which clouds serve credentials to their machines.
const METADATA_HOSTS: [&str; 3] = ["metadata.google.internal", "metadata.goog", "metadata"];
/// Headers that carry the connection, not the request.
const CONNECTION_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

body! {
    /// How to reach a provider. What is left out keeps its value, or gets the default.
    struct NetworkConfigInput {
        /// With or without a trailing `/v1`. Written-out loopback and private addresses are allowed; link-local and
        /// metadata addresses never are.
        base_url: optional ServerUrl,
        /// From sending a request to the end of the answer: at most a day, since nothing that a model does takes longer.
        default_request_timeout_in_seconds: optional Within<1, 86_400>,
        /// Further attempts before the first byte of an answer; at most 10.
        max_retries: optional Within<0, 10>,
        /// Milliseconds before the first retry; doubles with each.
        retry_backoff_initial: optional Backoff,
        /// Most milliseconds between retries.
        retry_backoff_max: optional Backoff,
        /// Sent with every request. The values are secrets and never shown again.
        extra_headers: optional ExtraHeaders,
        /// Certificate authorities to trust besides the platform's, PEM.
        ca_cert_pem: patch Certificates,
        /// Whether a name may resolve to a private address.
        allow_private_network: optional bool,
    }
    check |network| {
        for (name, value) in extra_headers.iter().flatten().flatten() {
            if let Err(message) = check_header(name, value) {
                network.invalid_at(&["extra_headers", name], message);
            }
        }
    }
}

/// Header names and their secret values.
pub(crate) type ExtraHeaders = BTreeMap<String, Secret>;

body! {
    /// What kind of provider it is.
    struct CustomProviderInput {
        /// The wire format it speaks: `openai`, `anthropic`, `gemini` or `sandbox`.
        base_provider_type: optional ProviderType,
        /// Whether it takes no key.
        is_key_less: optional bool,
    }
}

/// A provider's wire format when nobody says: its own for the names that have one, else OpenAI's.
pub(crate) fn default_type(name: &ProviderName) -> ProviderType {
    ProviderType::parse(name.as_str()).unwrap_or(ProviderType::OpenAi)
}

/// Where the well-known providers are.
fn default_base_url(name: &ProviderName) -> Option<&'static str> {
    match name.as_str() {
        "openai" => Some("https://api.openai.com"),
        "anthropic" => Some("https://api.anthropic.com"),
        "gemini" => Some("https://generativelanguage.googleapis.com"),
        _ => None,
    }
}

/// Whether a new provider says where it is, if and only if it has to.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_address(
    name: &ProviderName,
    kind: ProviderType,
    is_given: bool,
) -> Result<(), String> {
    match kind {
        ProviderType::Sandbox if is_given => {
            Err("the `sandbox` provider is built in and has no address".to_owned())
        }
        ProviderType::Sandbox => Ok(()),
        _ if is_given || default_base_url(name).is_some() => Ok(()),
        _ => Err(format!(
            "`base_url` is required: `{name}` is not a well-known provider"
        )),
    }
}

/// The settings after the request. `None` for a provider that has no network.
///
/// A change of origin drops the extra headers that the request does not enter again: they are secrets of the old one.
pub(crate) fn apply_network(
    name: &ProviderName,
    kind: ProviderType,
    old: Option<&NetworkSettings>,
    input: Option<&NetworkConfigInput>,
    problems: &mut Problems,
) -> Option<NetworkSettings> {
    let empty = NetworkConfigInput::default();
    let input = input.unwrap_or(&empty);
    // A new one has been looked at with the rest of its body; here it matters what an old one is made into.
    let has_address = input.base_url.is_some() || (kind != ProviderType::Sandbox && old.is_some());
    if let Err(message) = check_address(name, kind, has_address) {
        problems.inconsistent("/network_config/base_url", message);
        return None;
    }
    if kind == ProviderType::Sandbox {
        return None;
    }
    let base_url = match (&input.base_url, old) {
        (Some(ServerUrl(url)), _) => Some(url.clone()),
        (None, Some(old)) => Some(old.base_url.clone()),
        (None, None) => default_base_url(name).and_then(|url| Url::parse(url).ok()),
    }?;
    let keeps_origin = old.is_some_and(|old| old.base_url.origin() == base_url.origin());
    let old_headers = old
        .filter(|_| keeps_origin)
        .map_or(&[][..], |old| &old.extra_headers);
    Some(NetworkSettings {
        extra_headers: read_headers(old_headers, input.extra_headers.as_ref(), problems),
        base_url,
        request_timeout: input.default_request_timeout_in_seconds.map_or(
            old.map_or(DEFAULT_TIMEOUT, |old| old.request_timeout),
            |seconds| Duration::from_secs(u64::from(seconds.0)),
        ),
        idle_timeout: old.map_or(IDLE_TIMEOUT, |old| old.idle_timeout),
        max_retries: input.max_retries.map_or(
            old.map_or(DEFAULT_RETRIES, |old| old.max_retries),
            |retries| retries.0,
        ),
        retry_backoff_initial: input.retry_backoff_initial.map_or(
            old.map_or(DEFAULT_BACKOFF, |old| old.retry_backoff_initial),
            milliseconds,
        ),
        retry_backoff_max: input.retry_backoff_max.map_or(
            old.map_or(DEFAULT_BACKOFF_MAX, |old| old.retry_backoff_max),
            milliseconds,
        ),
        ca_cert_pem: input
            .ca_cert_pem
            .clone()
            .apply_to(old.and_then(|old| old.ca_cert_pem.clone())),
        allow_private_network: input
            .allow_private_network
            .unwrap_or(old.is_some_and(|old| old.allow_private_network)),
    })
}

impl Default for NetworkConfigInput {
    fn default() -> Self {
        Self {
            base_url: None,
            default_request_timeout_in_seconds: None,
            max_retries: None,
            retry_backoff_initial: None,
            retry_backoff_max: None,
            extra_headers: None,
            ca_cert_pem: crate::body::Patch::Absent,
            allow_private_network: None,
        }
    }
}

const fn milliseconds(value: Backoff) -> Duration {
    Duration::from_millis(value.0 as u64)
}

/// The address of a provider, without a trailing slash or `/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(Url);

impl FromJson for ServerUrl {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match parse_base_url(&node.text(problems, "a URL")?) {
            Ok(url) => Some(Self(url)),
            Err(message) => {
                problems.push(node.pointer.as_str(), UNUSABLE_ADDRESS, message);
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("uri".to_owned())))
            .examples(["https://llm.example.com/v1"])
            .into()
    }
}

/// Whether a server that Tollgate connects to may be at this address.
pub(crate) fn check_server_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("this is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "`{}` is not possible; use `https` or `http`",
            url.scheme()
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL cannot carry credentials; take them out of it".to_owned());
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(domain)) => {
            let domain = domain.trim_end_matches('.').to_ascii_lowercase();
            if METADATA_HOSTS.contains(&domain.as_str()) {
                return Err(format!(
                    "`{domain}` is a metadata service, which nothing is sent to"
                ));
            }
            None
        }
        None => return Err("a base URL needs a host".to_owned()),
    };
    if let Some(address) = address
        && !AddressClass::of(address).is_allowed(true, true)
    {
        return Err(format!(
            "`{address}` is a link-local, metadata or otherwise unusable address, which nothing is sent to"
        ));
    }
    Ok(url)
}

/// The address of a provider, if one may be there.
pub(crate) fn parse_base_url(text: &str) -> Result<Url, String> {
    let mut url = check_server_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a base URL has no query and no fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
    url.set_path(&path);
    Ok(url)
}

fn read_headers(
    old: &[(String, SecretString)],
    input: Option<&ExtraHeaders>,
    problems: &mut Problems,
) -> Vec<(String, SecretString)> {
    let Some(input) = input else {
        return old.to_vec();
    };
    let mut headers = Vec::new();
    for (name, Secret(value)) in input {
        let lower = name.to_ascii_lowercase();
        let kept = old.iter().find(|(old, _)| *old == lower);
        match kept {
            Some((_, kept)) if value.expose_secret() == MASK => headers.push((lower, kept.clone())),
            None if value.expose_secret() == MASK => {
                problems.inconsistent(child("/network_config/extra_headers", name), NO_VALUE);
            }
            _ => headers.push((lower, value.clone())),
        }
    }
    headers
}

/// Whether a header may be sent with every request.
fn check_header(name: &str, Secret(value): &Secret) -> Result<(), String> {
    let lower = name.to_ascii_lowercase();
    if HeaderName::try_from(lower.as_str()).is_err() {
        return Err(format!("`{name}` is not a header name"));
    }
    if CONNECTION_HEADERS.contains(&lower.as_str()) {
        return Err(format!(
            "`{name}` belongs to the connection and cannot be set"
        ));
    }
    if HeaderValue::from_str(value.expose_secret()).is_err() {
        return Err("this is not a header value".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_lose_their_version_and_keep_their_path() {
        for (text, expect) in [
            ("https://api.example.com/v1", "https://api.example.com/"),
            ("https://api.example.com/v1/", "https://api.example.com/"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/"),
            ("http://[::1]:8000/llm/v1", "http://[::1]:8000/llm"),
            ("https://10.0.0.8/x/", "https://10.0.0.8/x"),
            ("https://example.com/v10", "https://example.com/v10"),
        ] {
            assert_eq!(parse_base_url(text).unwrap().as_str(), expect, "{text}");
        }
    }

    #[test]
    fn addresses_that_no_provider_has_are_refused() {
        for text in [
            "ftp://example.com",
            "file:///etc/passwd",
            "not a url",
            "https://user:secret@example.com",
            "https://example.com/?x=1",
            "https://example.com/#x",
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0.0.0.0/",
            "http://metadata.google.internal./",
        ] {
            assert!(parse_base_url(text).is_err(), "{text}");
        }
    }

    fn apply(
        old: Option<&NetworkSettings>,
        body: &str,
    ) -> (Option<NetworkSettings>, Vec<crate::problem::FieldProblem>) {
        let input = crate::body::read_alone::<NetworkConfigInput>(body.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let name = "mine".parse().unwrap();
        let settings = apply_network(
            &name,
            ProviderType::OpenAi,
            old,
            Some(&input),
            &mut problems,
        );
        (settings, problems.found())
    }

    #[test]
    fn another_origin_does_not_get_the_old_ones_headers() {
        let (first, problems) = apply(
            None,
            r#"{"base_url": "https://a.example", "extra_headers": {"X-Secret": "s"}}"#,
        );
        assert!(problems.is_empty());
        let first = first.unwrap();
        assert_eq!(first.extra_headers.len(), 1);
        let (same, _) = apply(
            Some(&first),
            r#"{"base_url": "https://a.example/other/v1"}"#,
        );
        assert_eq!(same.unwrap().extra_headers.len(), 1);
        let (moved, _) = apply(Some(&first), r#"{"base_url": "https://b.example"}"#);
        assert!(moved.unwrap().extra_headers.is_empty());
        let (_, problems) = apply(
            Some(&first),
            r#"{"base_url": "https://b.example", "extra_headers": {"x-secret": "********"}}"#,
        );
        assert_eq!(problems[0].param, "/network_config/extra_headers/x-secret");
    }

    #[test]
    fn masked_headers_keep_their_value_and_connection_headers_are_refused() {
        let (first, _) = apply(
            None,
            r#"{"base_url": "https://a.example", "extra_headers": {"x-a": "1", "x-b": "2"}}"#,
        );
        let (next, problems) = apply(
            first.as_ref(),
            r#"{"extra_headers": {"x-a": "********"}, "max_retries": 3}"#,
        );
        assert!(problems.is_empty());
        let next = next.unwrap();
        assert_eq!(next.extra_headers.len(), 1);
        assert_eq!(next.extra_headers[0].1.expose_secret(), "1");
        assert_eq!(next.max_retries, 3);
        let host = br#"{"extra_headers": {"Host": "x"}}"#;
        let refused = crate::body::read_alone::<NetworkConfigInput>(host).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("/extra_headers/Host"));
    }
}

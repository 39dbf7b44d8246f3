//! What may be said of a webhook: the pure part of create and update.

use secrecy::ExposeSecret as _;
use tollgate_domain::events::EventKind;
use tollgate_storage::webhooks::StoredWebhook;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

use crate::body::{AtLeastOne, FromJson, Node, Problems, Secret, body, nearest};
use crate::problem::UNUSABLE_ADDRESS;
use crate::providers::check_server_url;

/// Longest URL, in bytes.
const MAX_URL: usize = 2_048;
/// Shorter secrets can be guessed from one signed request.
const MIN_SECRET: usize = 8;
/// Longest secret, in characters.
const MAX_SECRET: usize = 512;

body! {
    /// A new webhook.
    struct CreateWebhook ignoring ["id", "created_at", "updated_at"] {
        /// Where events are posted to. Written-out loopback and private addresses are allowed; link-local and metadata
        /// addresses never are.
        url: required WebhookUrl,
        /// What it is told of; at least one.
        events: required AtLeastOne<EventName>,
        /// Signs every request, 8 to 512 characters; `whsec_` and base64 is decoded. Stored sealed, never shown.
        secret: required SigningSecret,
        /// Lets the name in `url` resolve to a private address. False unless said otherwise.
        allow_private_network: optional bool,
        /// True unless said otherwise.
        is_active: optional bool,
    }
}

body! {
    /// A partial update of a webhook.
    struct UpdateWebhook ignoring ["id", "created_at", "updated_at"] {
        /// Where events are posted to. What still waits goes there too.
        url: given WebhookUrl,
        /// Replaces the whole list.
        events: given AtLeastOne<EventName>,
        /// Replaces the secret, also for what still waits.
        secret: given SigningSecret,
        /// Lets the name in `url` resolve to a private address.
        allow_private_network: given bool,
        /// What happens while it is false is never told, and what still waits goes on waiting.
        is_active: given bool,
    }
}

/// An address that events may be posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookUrl(String);

impl FromJson for WebhookUrl {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems, "a URL")?;
        match check_url(text.trim()) {
            Ok(text) => Some(Self(text.to_owned())),
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
            .max_length(Some(MAX_URL))
            .examples(["https://hooks.example.com/tollgate"])
            .into()
    }
}

fn check_url(text: &str) -> Result<&str, String> {
    if text.len() > MAX_URL {
        return Err(format!("a URL has at most {MAX_URL} characters"));
    }
    if check_server_url(text)?.fragment().is_some() {
        return Err("the URL of a webhook has no fragment".to_owned());
    }
    Ok(text)
}

/// One of the closed list of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventName(EventKind);

impl FromJson for EventName {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems, "an event")?;
        match text.parse() {
            Ok(kind) => Some(Self(kind)),
            Err(error) => {
                let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
                let hint = match nearest(&text, &names) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known are `{}`", names.join("`, `")),
                };
                problems.invalid(node.pointer.as_str(), format!("{error}; {hint}"));
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(EventKind::ALL.iter().map(|kind| kind.as_str())))
            .into()
    }
}

/// What requests are signed with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SigningSecret(Secret);

impl FromJson for SigningSecret {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let secret = Secret::from_json(node, problems)?;
        let length = secret.0.expose_secret().chars().count();
        if (MIN_SECRET..=MAX_SECRET).contains(&length) {
            return Some(Self(secret));
        }
        problems.invalid(
            node.pointer.as_str(),
            format!("a secret has {MIN_SECRET} to {MAX_SECRET} characters, this has {length}"),
        );
        None
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(MIN_SECRET))
            .max_length(Some(MAX_SECRET))
            .write_only(true)
            .into()
    }
}

impl From<CreateWebhook> for UpdateWebhook {
    /// A new webhook is the empty one, updated.
    fn from(body: CreateWebhook) -> Self {
        Self {
            url: Some(body.url),
            events: Some(body.events),
            secret: Some(body.secret),
            allow_private_network: body.allow_private_network,
            is_active: body.is_active,
        }
    }
}

/// The webhook after the update. Instants are left as they are.
pub(super) fn apply_update(current: &StoredWebhook, body: UpdateWebhook) -> StoredWebhook {
    let mut new = current.clone();
    if let Some(WebhookUrl(url)) = body.url {
        new.url = url;
    }
    if let Some(events) = body.events {
        new.events = events.iter().map(|EventName(kind)| *kind).collect();
        new.events.sort_unstable();
        new.events.dedup();
    }
    if let Some(SigningSecret(Secret(secret))) = body.secret {
        new.secret = secret;
    }
    if let Some(allow) = body.allow_private_network {
        new.allow_private_network = allow;
    }
    if let Some(is_active) = body.is_active {
        new.is_active = is_active;
    }
    new
}

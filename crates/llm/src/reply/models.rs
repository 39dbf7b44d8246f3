//! Lists of models.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_domain::Timestamp;
use tollgate_domain::time::MICROS_PER_SECOND;

/// One model that the caller may use.
#[derive(Debug, Clone, Copy)]
pub struct ModelEntry<'a> {
    /// The name to ask for, `provider/model`.
    pub id: &'a str,
    /// The provider.
    pub owned_by: &'a str,
    /// When it became available here.
    pub created: Timestamp,
    /// Most tokens of input and output together, when known.
    pub context_window: Option<u64>,
    /// Most tokens of output, when known.
    pub max_output_tokens: Option<u64>,
}

impl ModelEntry<'_> {
    fn to_openai(self) -> Value {
        let mut model = json!({
            "id": self.id,
            "object": "model",
            "created": self.created.as_micros() / MICROS_PER_SECOND,
            "owned_by": self.owned_by,
        });
        if let Some(tokens) = self.context_window {
            model["context_window"] = tokens.into();
        }
        if let Some(tokens) = self.max_output_tokens {
            model["max_output_tokens"] = tokens.into();
        }
        model
    }

    fn to_anthropic(self) -> Value {
        json!({
            "type": "model",
            "id": self.id,
            "display_name": self.id,
            "created_at": self.created,
        })
    }
}

/// The body of `GET /v1/models` as OpenAI's clients read it.
pub fn openai_models<'a>(models: impl IntoIterator<Item = ModelEntry<'a>>) -> Bytes {
    let data: Vec<Value> = models.into_iter().map(ModelEntry::to_openai).collect();
    json!({ "object": "list", "data": data }).to_string().into()
}

/// The body of `GET /v1/models/{id}` as OpenAI's clients read it.
pub fn openai_model(model: ModelEntry<'_>) -> Bytes {
    model.to_openai().to_string().into()
}

/// The body of `GET /v1/models` as Anthropic's clients read it: one page that holds all.
pub fn anthropic_models<'a>(models: impl IntoIterator<Item = ModelEntry<'a>>) -> Bytes {
    let data: Vec<Value> = models.into_iter().map(ModelEntry::to_anthropic).collect();
    let id = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    json!({ "data": data, "has_more": false, "first_id": first, "last_id": last })
        .to_string()
        .into()
}

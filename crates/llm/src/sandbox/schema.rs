//! A value that fits a JSON schema, so that tool calls and structured answers can be tried without a model.

use serde_json::{Map, Value, json};

/// Deepest level that is filled, and most values; what is beyond is null, which ends schemas that contain themselves.
const MAX_DEPTH: usize = 12;
const MAX_VALUES: usize = 1_000;

/// The simplest value that fits `schema`, with `text` where free text is wanted.
pub(super) fn example(schema: &Value, text: &str) -> Value {
    let mut filler = Filler {
        root: schema,
        text,
        values_left: MAX_VALUES,
    };
    filler.fill(schema, MAX_DEPTH)
}

struct Filler<'a> {
    root: &'a Value,
    text: &'a str,
    values_left: usize,
}

impl<'a> Filler<'a> {
    fn fill(&mut self, schema: &'a Value, depth: usize) -> Value {
        let (Some(depth), Some(values_left)) =
            (depth.checked_sub(1), self.values_left.checked_sub(1))
        else {
            return Value::Null;
        };
        self.values_left = values_left;
        for key in ["const", "default"] {
            if let Some(value) = schema.get(key) {
                return value.clone();
            }
        }
        if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
            return first.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').unwrap_or(target);
            return match self.root.pointer(pointer) {
                Some(inner) => self.fill(inner, depth),
                None => Value::Null,
            };
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema.get(key).and_then(|choices| choices.get(0)) {
                return self.fill(first, depth);
            }
        }
        match kind(schema) {
            "object" => {
                let members = schema.get("properties").and_then(Value::as_object);
                let filled: Map<String, Value> = members
                    .into_iter()
                    .flatten()
                    .map(|(name, inner)| (name.clone(), self.fill(inner, depth)))
                    .collect();
                Value::Object(filled)
            }
            "array" => match schema.get("items") {
                Some(items) => json!([self.fill(items, depth)]),
                None => json!([]),
            },
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => Value::from(self.text),
        }
    }
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_required_member_is_there() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 3},
                "tags": {"type": "array", "items": {"type": ["string", "null"]}},
                "where": {"$ref": "#/$defs/place"},
            },
            "$defs": {"place": {"properties": {"lat": {"type": "number"}}}},
        });
        assert_eq!(
            example(&schema, "x"),
            json!({"city": "x", "unit": "celsius", "days": 3, "tags": ["x"], "where": {"lat": 1}})
        );
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(example(&schema, "x").to_string().contains("null"));
        let members: Map<String, Value> = (0..100)
            .map(|number| (number.to_string(), json!({"$ref": "#"})))
            .collect();
        let wide = example(&json!({"properties": members}), "x").to_string();
        assert!(wide.len() < 20 * MAX_VALUES * 100, "{}", wide.len());
        assert_eq!(example(&json!({"$ref": "#"}), "x"), Value::Null);
    }
}

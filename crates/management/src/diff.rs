//! What differs between two JSON texts, place by place. Numbers are compared by their text, so none is rounded.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::body::object::child;

/// One place that differs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Difference {
    /// A JSON pointer.
    field: String,
    /// What stands there before; null when nothing does.
    #[schema(value_type = Value)]
    before: Option<Box<RawValue>>,
    /// What stands there after; null when nothing does.
    #[schema(value_type = Value)]
    after: Option<Box<RawValue>>,
}

/// Every place in which two values of the same kind differ; `ignored` names fields, at any depth, that do not count.
pub(crate) fn differences(
    before: &impl Serialize,
    after: &impl Serialize,
    ignored: &[&str],
) -> Result<Vec<Difference>, serde_json::Error> {
    let before = serde_json::value::to_raw_value(before)?;
    let after = serde_json::value::to_raw_value(after)?;
    let mut found = Vec::new();
    compare("", &before, &after, ignored, &mut found);
    Ok(found)
}

fn compare(
    pointer: &str,
    before: &RawValue,
    after: &RawValue,
    ignored: &[&str],
    found: &mut Vec<Difference>,
) {
    type Fields<'a> = BTreeMap<String, &'a RawValue>;
    if before.get() == after.get() {
        return;
    }
    let objects = (
        serde_json::from_str::<Fields<'_>>(before.get()),
        serde_json::from_str::<Fields<'_>>(after.get()),
    );
    if let (Ok(before), Ok(after)) = objects {
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            if !ignored.contains(&name.as_str()) {
                let place = child(pointer, name);
                compare_optional(&place, before.get(name), after.get(name), ignored, found);
            }
        }
        return;
    }
    let arrays = (
        serde_json::from_str::<Vec<&RawValue>>(before.get()),
        serde_json::from_str::<Vec<&RawValue>>(after.get()),
    );
    if let (Ok(before), Ok(after)) = arrays {
        for index in 0..before.len().max(after.len()) {
            let place = format!("{pointer}/{index}");
            compare_optional(&place, before.get(index), after.get(index), ignored, found);
        }
        return;
    }
    found.push(Difference {
        field: pointer.to_owned(),
        before: Some(before.to_owned()),
        after: Some(after.to_owned()),
    });
}

fn compare_optional(
    pointer: &str,
    before: Option<&&RawValue>,
    after: Option<&&RawValue>,
    ignored: &[&str],
    found: &mut Vec<Difference>,
) {
    match (before, after) {
        (Some(before), Some(after)) => compare(pointer, before, after, ignored, found),
        _ => found.push(Difference {
            field: pointer.to_owned(),
            before: before.map(|&value| value.to_owned()),
            after: after.map(|&value| value.to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_and_numbers_are_not_rounded() {
        let before: Box<RawValue> =
            serde_json::from_str(r#"{"a": [1, {"b": 9007199254740993}], "same": 1, "v": 1}"#)
                .unwrap();
        let after: Box<RawValue> = serde_json::from_str(
            r#"{"a": [1, {"b": 9007199254740992}, 3], "same": 1, "v": 2, "new": null}"#,
        )
        .unwrap();
        let found = differences(&before, &after, &["v"]).unwrap();
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(
            text,
            r#"[{"field":"/a/1/b","before":9007199254740993,"after":9007199254740992},{"field":"/a/2","before":null,"after":3},{"field":"/new","before":null,"after":null}]"#
        );
        assert!(differences(&before, &before, &[]).unwrap().is_empty());
    }
}

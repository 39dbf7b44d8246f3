//! What `tollgate config check` prints: every key, its value, and where the value comes from.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::EXAMPLE;
use super::keys::{KEYS, Key};
use super::load::Loaded;

/// One line a key. Secrets are named, never shown.
pub fn report(loaded: &Loaded) -> String {
    // The example holds every default; a test keeps it so.
    let defaults: Table = EXAMPLE.parse().unwrap_or_default();
    let mut text = String::new();
    for key in KEYS {
        let source = loaded
            .sources
            .get(key.path)
            .map_or("default", String::as_str);
        let value = value_of(&loaded.given, key).or_else(|| value_of(&defaults, key));
        let shown = match value {
            None => "(not set)".to_owned(),
            Some(_) if key.is_secret => "(secret)".to_owned(),
            Some(value) => value.to_string(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} = {shown}  # {source}", key.path);
    }
    text
}

fn value_of<'a>(table: &'a Table, key: &Key) -> Option<&'a Value> {
    match key.path.split_once('.') {
        None => table.get(key.path),
        Some((section, leaf)) => table.get(section)?.get(leaf),
    }
}

//! All rows, in the order of the committed file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Source;
use super::row::Row;

/// Rows by provider and lower-case model.
#[derive(Default)]
pub(super) struct Table {
    rows: BTreeMap<(String, String), Row>,
}

impl Table {
    pub(super) fn get_mut(&mut self, provider: &str, model: &str) -> Option<&mut Row> {
        self.rows
            .get_mut(&(provider.to_owned(), model.to_lowercase()))
    }

    /// Adds a row unless the model is known.
    pub(super) fn add_new(&mut self, row: Row) {
        self.rows.entry(row.key()).or_insert(row);
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn render(&self, sources: &[&Source]) -> String {
        let mut text = String::from(HEADER);
        for Source {
            package,
            version,
            date,
        } in sources
        {
            let _ = writeln!(text, "# source {package} {version} {date}");
        }
        text.push_str(
            "# provider\tmodel\tmode\tcontext\tmax_output\tcapabilities\tsource\tprices\n",
        );
        for row in self.rows.values() {
            text.push_str(&row.render());
            text.push('\n');
        }
        text
    }

    /// What a person should look at after an update.
    pub(super) fn notes(&self) -> Vec<String> {
        let name = |row: &Row| format!("{}/{}", row.provider, row.model);
        let rounded = self.rows.values().filter(|row| row.is_rounded).map(name);
        let disputed = self.rows.values().filter(|row| row.is_disputed).map(name);
        let unpriced = self
            .rows
            .values()
            .filter(|row| row.prices.is_empty())
            .count();
        let mut notes: Vec<String> = rounded
            .map(|name| format!("rounded up to a pico-dollar: {name}"))
            .collect();
        notes.extend(disputed.map(|name| format!("the sources disagree: {name}")));
        notes.push(format!("{unpriced} models without a price"));
        notes
    }
}

const HEADER: &str = "\
# Prices, limits and capabilities of models. Made by `cargo xtask catalog`; do not edit, add an override instead.
# Prices are pico-dollars (1e-12 USD) per token, `request` per call. `batch`, `flex`, `priority` and `fast` are
# service tiers, `>N` holds for a whole request whose input is larger than N tokens; a tier inherits what it does not
# name. No price means that it is unknown, not that it is free.
# Source marks: `~` a price was finer than a pico-dollar and rounded up, `!` the other source names another price.
";

//! All rows, in the order of the committed file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Source;
use super::row::{Row, Tier, Unit};

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

    /// Gives audio its price where a model is known with its text prices alone, and the same model with all of them under its
    /// dated name or at its maker: or else an audio token would cost what one of text costs.
    pub(super) fn complete_audio(&mut self) {
        for unit in [Unit::AudioInput, Unit::AudioOutput] {
            self.complete(unit, Self::price_of_dated);
            self.complete(unit, Self::price_of_maker);
        }
    }

    fn complete(
        &mut self,
        unit: Unit,
        price_of: fn(&Self, &(String, String), &Row, Unit) -> Option<u64>,
    ) {
        let found: Vec<_> = (self.rows.iter())
            .filter(|(_, row)| row.base(unit).is_none())
            .filter_map(|(key, row)| Some((key.clone(), price_of(self, key, row, unit)?)))
            .collect();
        for (key, value) in found {
            if let Some(row) = self.rows.get_mut(&key) {
                let prices = row.prices.entry(Tier::default()).or_default();
                prices.insert(unit, value);
            }
        }
    }

    /// The highest price that a dated version of `row` with the same text prices has.
    fn price_of_dated(&self, key: &(String, String), row: &Row, unit: Unit) -> Option<u64> {
        let (provider, model) = key;
        self.rows
            .range((provider.clone(), format!("{model}-20"))..)
            .take_while(|((other, name), _)| other == provider && name.starts_with(model.as_str()))
            .filter(|((_, name), dated)| is_dated(name, model) && is_same_for_text(dated, row))
            .filter_map(|(_, dated)| dated.base(unit))
            .max()
    }

    /// The price at the maker that a reseller names in front of the model, when text costs the same there.
    fn price_of_maker(&self, (_, model): &(String, String), row: &Row, unit: Unit) -> Option<u64> {
        let (maker, model) = model.split_once('/')?;
        let own = self.rows.get(&(maker.to_owned(), model.to_owned()))?;
        own.base(unit).filter(|_| is_same_for_text(own, row))
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

fn is_same_for_text(one: &Row, other: &Row) -> bool {
    [Unit::Input, Unit::Output]
        .into_iter()
        .all(|unit| one.base(unit) == other.base(unit))
}

/// Whether `name` is `model` with a day behind it: `-2025-06-03` or `-20250603`.
fn is_dated(name: &str, model: &str) -> bool {
    let day = name.strip_prefix(model).unwrap_or_default();
    day.starts_with("-20")
        && day.chars().all(|char| char == '-' || char.is_ascii_digit())
        && day.chars().filter(char::is_ascii_digit).count() == 8
}

const HEADER: &str = "\
# Prices, limits and capabilities of models. Made by `cargo xtask catalog`; do not edit, add an override instead.
# Prices are pico-dollars (1e-12 USD) per token, `request` per call. `batch`, `flex`, `priority` and `fast` are
# service tiers, `>N` holds for a whole request whose input is larger than N tokens; a tier inherits what it does not
# name. No price means that it is unknown, not that it is free.
# Source marks: `~` a price was finer than a pico-dollar and rounded up, `!` the other source names another price.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::decimal::Picos;

    fn row(provider: &str, model: &str, prices: &[(Unit, u64)]) -> Row {
        let mut row = Row {
            provider: provider.to_owned(),
            model: model.to_owned(),
            ..Row::default()
        };
        for (unit, value) in prices {
            let price = Picos {
                value: *value,
                is_rounded: false,
            };
            row.set(Tier::default(), *unit, price);
        }
        row
    }

    #[test]
    fn audio_costs_what_it_costs_under_the_dated_name() {
        let text = [(Unit::Input, 2), (Unit::Output, 8)];
        let with_audio = |input| [&text[..], &[(Unit::AudioInput, input)]].concat();
        let mut table = Table::default();
        for (model, prices) in [
            ("talk", text.to_vec()),
            ("talk-2025-06-03", with_audio(40)),
            ("talk-20251003", with_audio(50)),
            ("talk-2026-preview", with_audio(60)),
            (
                "talk-2026-01-01",
                [(Unit::AudioInput, 70), (Unit::Input, 3)].to_vec(),
            ),
            ("write", text.to_vec()),
            ("write-2025-06-03", text.to_vec()),
        ] {
            table.add_new(row("openai", model, &prices));
        }
        table.add_new(row("reseller", "openai/talk", &text));
        table.add_new(row("reseller", "openai/talk-20251003", &text[..1]));
        table.complete_audio();
        let mut audio = |provider: &str, model: &str| {
            let row = table.get_mut(provider, model).unwrap();
            row.base(Unit::AudioInput)
        };
        assert_eq!(
            audio("openai", "talk"),
            Some(50),
            "the highest with the same text prices"
        );
        assert_eq!(audio("openai", "talk-20251003"), Some(50));
        assert_eq!(audio("openai", "write"), None);
        assert_eq!(audio("reseller", "openai/talk"), Some(50));
        assert_eq!(
            audio("reseller", "openai/talk-20251003"),
            None,
            "another price of text"
        );
    }
}

//! One model in the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::decimal::Picos;

/// What a price is paid for. The text is the column's vocabulary; the domain crate reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
    AudioInput,
    AudioOutput,
    Request,
}

impl Unit {
    const fn text(self) -> &'static str {
        match self {
            Self::Input => "in",
            Self::Output => "out",
            Self::CacheRead => "read",
            Self::CacheWrite => "write",
            Self::CacheWrite1h => "write1h",
            Self::Reasoning => "reason",
            Self::AudioInput => "audio_in",
            Self::AudioOutput => "audio_out",
            Self::Request => "request",
        }
    }
}

/// A thousand dollars for a million tokens.
const MOST_PER_TOKEN: u64 = 1_000_000_000;

/// Which requests a set of prices is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tier {
    /// Requests whose input is larger than this.
    pub(super) above: u64,
    pub(super) service: Service,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    #[default]
    Standard,
    Batch,
    Flex,
    Priority,
    Fast,
}

impl Service {
    const fn text(self) -> &'static str {
        match self {
            Self::Standard => "",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
        }
    }
}

/// One model of one provider.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) mode: String,
    pub(super) context: Option<u64>,
    pub(super) max_output: Option<u64>,
    /// One letter each: `r` reasoning, `t` tools, `v` vision, `s` structured output.
    pub(super) capabilities: String,
    pub(super) source: &'static str,
    /// Prices by tier, as sparse as the source has them.
    pub(super) prices: BTreeMap<Tier, BTreeMap<Unit, u64>>,
    /// A price was finer than the unit.
    pub(super) is_rounded: bool,
    /// The sources name different prices.
    pub(super) is_disputed: bool,
}

impl Row {
    /// Names are compared without case.
    pub(super) fn key(&self) -> (String, String) {
        (self.provider.clone(), self.model.to_lowercase())
    }

    pub(super) fn set(&mut self, tier: Tier, unit: Unit, price: Picos) {
        self.is_rounded |= price.is_rounded;
        self.prices
            .entry(tier)
            .or_default()
            .insert(unit, price.value);
    }

    /// The price that holds when no tier applies.
    pub(super) fn base(&self, unit: Unit) -> Option<u64> {
        self.prices.get(&Tier::default())?.get(&unit).copied()
    }

    /// Empties a price list in which a token costs more than anything sold by the token: a vendor's
    /// price per thousand that was written down as a price for one.
    pub(super) fn forget_absurd(&mut self) {
        let is_absurd =
            |(unit, price): (&Unit, &u64)| *unit != Unit::Request && *price > MOST_PER_TOKEN;
        if self.prices.values().flatten().any(is_absurd) {
            self.prices.clear();
        }
    }

    /// Empties a price list that leaves out what the rest is paid for: seconds, images, or the model
    /// behind a router. Half a price is worse than none.
    pub(super) fn forget_halves(&mut self) {
        let is_named = |unit| self.base(unit).is_some();
        let costs = |unit| self.base(unit).is_some_and(|price| price > 0);
        let is_whole = match self.mode.as_str() {
            "chat" | "completion" | "responses" => is_named(Unit::Input) && costs(Unit::Output),
            _ => is_named(Unit::Input) || costs(Unit::Request),
        };
        if !is_whole {
            self.prices.clear();
        }
    }

    /// A table where everything is free is a table that does not know; it is emptied.
    pub(super) fn forget_zeros(&mut self) {
        if self
            .prices
            .values()
            .all(|tier| tier.values().all(|price| *price == 0))
        {
            self.prices.clear();
        }
    }

    pub(super) fn render(&self) -> String {
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let mut source = self.source.to_owned();
        if self.is_rounded {
            source.push('~');
        }
        if self.is_disputed {
            source.push('!');
        }
        let columns = [
            &self.provider,
            &self.model,
            &self.mode,
            &number(self.context),
            &number(self.max_output),
            &self.capabilities,
            &source,
            &self.render_prices(),
        ];
        columns.map(String::as_str).join("\t").trim_end().to_owned()
    }

    fn render_prices(&self) -> String {
        let mut text = String::new();
        for (Tier { above, service }, prices) in &self.prices {
            if !text.is_empty() {
                text.push_str("; ");
            }
            let mut head = service.text().to_owned();
            if *above > 0 {
                let _ = write!(head, ">{above}");
            }
            let prices = prices
                .iter()
                .map(|(unit, price)| format!("{}={price}", unit.text()));
            let words: Vec<String> = Some(head)
                .filter(|head| !head.is_empty())
                .into_iter()
                .chain(prices)
                .collect();
            text.push_str(&words.join(" "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_reads_like_its_price_list() {
        let picos = |value| Picos {
            value,
            is_rounded: false,
        };
        let mut row = Row {
            provider: "openai".to_owned(),
            model: "gpt-x".to_owned(),
            mode: "chat".to_owned(),
            context: Some(400_000),
            source: "litellm",
            ..Row::default()
        };
        row.set(
            Tier {
                above: 272_000,
                service: Service::Standard,
            },
            Unit::Input,
            picos(4),
        );
        row.set(Tier::default(), Unit::Output, picos(10));
        row.set(Tier::default(), Unit::Input, picos(2));
        row.set(
            Tier {
                above: 0,
                service: Service::Batch,
            },
            Unit::Input,
            picos(1),
        );
        assert_eq!(
            row.render(),
            "openai\tgpt-x\tchat\t400000\t\t\tlitellm\tin=2 out=10; batch in=1; >272000 in=4"
        );
    }

    #[test]
    fn absurd_price_is_unknown() {
        let mut row = Row::default();
        let price = |value| Picos {
            value,
            is_rounded: false,
        };
        row.set(Tier::default(), Unit::Input, price(MOST_PER_TOKEN));
        row.set(Tier::default(), Unit::Request, price(MOST_PER_TOKEN + 1));
        row.forget_absurd();
        assert!(!row.prices.is_empty());
        row.set(Tier::default(), Unit::Output, price(MOST_PER_TOKEN + 1));
        row.forget_absurd();
        assert!(row.prices.is_empty());
    }

    #[test]
    fn half_a_price_is_unknown() {
        let check = |mode: &str, units: &[Unit]| {
            let mut row = Row {
                mode: mode.to_owned(),
                ..Row::default()
            };
            for unit in units {
                row.set(
                    Tier::default(),
                    *unit,
                    Picos {
                        value: 1,
                        is_rounded: false,
                    },
                );
            }
            row.forget_halves();
            !row.prices.is_empty()
        };
        assert!(check("chat", &[Unit::Input, Unit::Output]));
        assert!(!check("chat", &[Unit::Input]));
        assert!(!check("chat", &[Unit::Output]));
        assert!(check("embedding", &[Unit::Input]));
        assert!(check("embedding", &[Unit::Request]));
        assert!(!check("embedding", &[Unit::Output]));
    }

    #[test]
    fn all_zero_is_unknown() {
        let mut row = Row::default();
        row.set(
            Tier::default(),
            Unit::Input,
            Picos {
                value: 0,
                is_rounded: false,
            },
        );
        row.forget_zeros();
        assert!(row.prices.is_empty());
    }
}

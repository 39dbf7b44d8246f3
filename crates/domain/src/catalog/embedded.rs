//! The table that the binary brings: text in the program's own image, read once at first use.

use std::sync::{Arc, LazyLock};

use super::index::Index;
use super::{Capabilities, Entry, ModelInfo, ModelPrice, PriceTier, Prices, Provenance};
use crate::usage::ServiceTier;

/// The name under which the built-in provider's models stand in the table.
pub(super) const SANDBOX: &str = "sandbox";

/// Made by `cargo xtask catalog`, which describes the columns in the first lines.
const TABLE: &str = include_str!("prices.tsv");

/// The models of the built-in provider; their prices are ours to choose, and like those of small and large models.
const SANDBOX_TABLE: &str = "\
# source built-in 1 2026-11-24
sandbox\tsandbox-embedding\tembedding\t8192\t\t\tbuilt-in\tin=20000 out=0
sandbox\tsandbox-large\tchat\t128000\t16384\tts\tbuilt-in\tin=2000000 out=8000000 read=500000
sandbox\tsandbox-small\tchat\t128000\t16384\tts\tbuilt-in\tin=100000 out=400000 read=25000
";

static ROWS: LazyLock<Index> = LazyLock::new(|| {
    let mut rows = parse(TABLE);
    rows.extend(parse(SANDBOX_TABLE));
    Index::new(rows)
});

/// All rows.
pub(super) fn rows() -> &'static Index {
    &ROWS
}

/// Reads a table. It is part of the program and checked by tests, so a line that cannot be read is left out: its model
/// has then no price, which is refused, and never a wrong one.
pub(super) fn parse(table: &'static str) -> Vec<Entry> {
    let mut sources = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    for line in table.lines() {
        if let Some(source) = line.strip_prefix("# source ") {
            sources.extend(source.rsplit_once(' '));
        } else if !line.starts_with('#') {
            let last = entries.last().map(|entry| entry.provider.clone());
            entries.extend(parse_row(line, &sources, last));
        }
    }
    entries
}

fn parse_row(
    line: &'static str,
    sources: &[(&'static str, &'static str)],
    last_provider: Option<Arc<str>>,
) -> Option<Entry> {
    let mut columns = line.split('\t');
    let provider = columns.next()?;
    let model = columns.next()?;
    let _mode = columns.next()?;
    let context_window = parse_count(columns.next()?)?;
    let max_output_tokens = parse_count(columns.next()?)?;
    let capabilities = parse_capabilities(columns.next()?);
    let provenance = parse_provenance(columns.next()?, sources);
    let price = match columns.next() {
        Some(prices) => Some(parse_prices(prices)?),
        None => None,
    };
    let info = ModelInfo {
        price,
        context_window,
        max_output_tokens,
        capabilities,
        provenance,
    };
    Some(Entry {
        // The rows are sorted, so a provider's name is kept once.
        provider: last_provider
            .filter(|last| **last == *provider)
            .unwrap_or_else(|| provider.into()),
        model: model.into(),
        info: Arc::new(info),
    })
}

/// An empty column is no limit; what is no number makes the line unreadable.
#[expect(
    clippy::option_option,
    reason = "unreadable and absent are two things here"
)]
fn parse_count(column: &str) -> Option<Option<u64>> {
    if column.is_empty() {
        Some(None)
    } else {
        column.parse().ok().map(Some)
    }
}

fn parse_capabilities(letters: &str) -> Capabilities {
    Capabilities {
        reasoning: letters.contains('r'),
        tools: letters.contains('t'),
        vision: letters.contains('v'),
        structured_output: letters.contains('s'),
    }
}

fn parse_provenance(mark: &str, sources: &[(&'static str, &'static str)]) -> Option<Provenance> {
    let package = mark.trim_end_matches(['~', '!']);
    let (source, date) = sources
        .iter()
        .find(|(source, _)| source.split(' ').next() == Some(package))?;
    Some(Provenance {
        source,
        date,
        is_rounded: mark.contains('~'),
        is_disputed: mark.contains('!'),
    })
}

/// What one block of a price list names; the rest is inherited.
#[derive(Clone, Copy, Default)]
struct Named {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    reasoning: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    per_request: Option<u64>,
}

/// Reads `in=1 out=2; batch in=1; priority>200000 in=4`.
fn parse_prices(text: &str) -> Option<ModelPrice> {
    let mut blocks = Vec::new();
    for block in text.split("; ") {
        let mut words = block.split(' ').peekable();
        let (service, above) = match words.next_if(|word| !word.contains('=')) {
            Some(head) => parse_head(head)?,
            None => (ServiceTier::Standard, 0),
        };
        blocks.push((service, above, parse_named(words)?));
    }
    let named = |service, above| {
        let found = blocks
            .iter()
            .find(|(of, from, _)| (*of, *from) == (service, above));
        found.map(|(_, _, named)| *named)
    };
    let base = named(ServiceTier::Standard, 0).unwrap_or_default();
    let mut price = ModelPrice::flat(base.prices());
    for (service, above, own) in &blocks {
        let mut sum = base;
        for (service, above) in [(ServiceTier::Standard, *above), (*service, 0)] {
            sum = sum.overlaid(named(service, above).unwrap_or_default());
        }
        let prices = sum.overlaid(*own).prices();
        if (*service, *above) != (ServiceTier::Standard, 0) {
            price.tiers.push(PriceTier {
                service: *service,
                above: *above,
                prices,
            });
        }
    }
    fill_corners(&mut price);
    Some(price)
}

/// A list may price a service tier and large contexts, and not both together. What such a request costs is then not
/// known; the dearer of both prices is taken, so that it is never charged less than it may cost us.
fn fill_corners(price: &mut ModelPrice) {
    let stated = price.tiers.clone();
    let of = |service, above| {
        stated
            .iter()
            .find(move |tier| (tier.service, tier.above) == (service, above))
    };
    for service in ServiceTier::ALL {
        let Some(own) = of(service, 0).filter(|_| service != ServiceTier::Standard) else {
            continue;
        };
        for large in stated
            .iter()
            .filter(|tier| tier.service == ServiceTier::Standard)
        {
            if of(service, large.above).is_none() {
                let prices = own.prices.max(&large.prices);
                price.tiers.push(PriceTier {
                    service,
                    above: large.above,
                    prices,
                });
            }
        }
    }
}

/// Reads `batch`, `>200000` or `priority>200000`.
fn parse_head(head: &str) -> Option<(ServiceTier, u64)> {
    let (service, above) = head.split_once('>').unwrap_or((head, "0"));
    let service = match service {
        "" => ServiceTier::Standard,
        "batch" => ServiceTier::Batch,
        "flex" => ServiceTier::Flex,
        "priority" => ServiceTier::Priority,
        "fast" => ServiceTier::Fast,
        _ => return None,
    };
    Some((service, above.parse().ok()?))
}

fn parse_named<'a>(words: impl Iterator<Item = &'a str>) -> Option<Named> {
    let mut named = Named::default();
    for word in words {
        let (unit, price) = word.split_once('=')?;
        let slot = match unit {
            "in" => &mut named.input,
            "out" => &mut named.output,
            "read" => &mut named.cache_read,
            "write" => &mut named.cache_write,
            "write1h" => &mut named.cache_write_1h,
            "reason" => &mut named.reasoning,
            "audio_in" => &mut named.audio_input,
            "audio_out" => &mut named.audio_output,
            "request" => &mut named.per_request,
            _ => return None,
        };
        *slot = Some(price.parse().ok()?);
    }
    Some(named)
}

impl Named {
    fn overlaid(self, top: Self) -> Self {
        Self {
            input: top.input.or(self.input),
            output: top.output.or(self.output),
            cache_read: top.cache_read.or(self.cache_read),
            cache_write: top.cache_write.or(self.cache_write),
            cache_write_1h: top.cache_write_1h.or(self.cache_write_1h),
            // Where reasoning has no price of its own here, it is output, and so it must not be
            // inherited past a new price of output.
            reasoning: top.reasoning.or(if top.output.is_some() {
                None
            } else {
                self.reasoning
            }),
            audio_input: top.audio_input.or(self.audio_input),
            audio_output: top.audio_output.or(self.audio_output),
            per_request: top.per_request.or(self.per_request),
        }
    }

    /// What a list does not name costs what it is a kind of.
    fn prices(self) -> Prices {
        let input = self.input.unwrap_or(0);
        let output = self.output.unwrap_or(0);
        let cache_write = self.cache_write.unwrap_or(input);
        Prices {
            input,
            cache_read: self.cache_read.unwrap_or(input),
            cache_write_5m: cache_write,
            cache_write_1h: self.cache_write_1h.unwrap_or(cache_write),
            audio_input: self.audio_input.unwrap_or(input),
            output,
            reasoning: self.reasoning.unwrap_or(output),
            audio_output: self.audio_output.unwrap_or(output),
            per_request: self.per_request.unwrap_or(0),
        }
    }
}

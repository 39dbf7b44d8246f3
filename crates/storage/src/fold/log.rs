//! The request log and the sums of a piece of the journal.

use std::collections::BTreeMap;

use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome};
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::{Timestamp, Usd};

use crate::error::Result;
use crate::request_log::blocks;
use crate::request_log::sums::{Dimension, Span, Split};
use crate::sql::{Query, Value, held_sum, pieces, query};
use crate::tx::{Db, Tx};

/// Appends requests to the log, and adds them to the sums.
pub(super) async fn append(tx: &mut Tx, entries: &[LogEntry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let blocks = blocks::append(tx, entries.iter().map(|entry| (entry, None))).await?;
    let mut hours = BTreeMap::new();
    for (LogEntry { facts, ending }, block) in entries.iter().zip(blocks) {
        let amounts: &mut Amounts = hours.entry(Sum::of(facts, ending.outcome)).or_default();
        amounts.add(&Amounts::of(ending, block));
    }
    add(tx, &hours).await
}

/// Which sum. The text of a model is compared last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sum<'a> {
    split: Split,
    span: Span,
    start: Timestamp,
    key: Option<VirtualKeyId>,
    user: Option<UserId>,
    profile: Option<ProfileId>,
    outcome: &'static str,
    provider: &'a str,
    model: &'a str,
}

/// What requests add to it.
#[derive(Debug, Clone, Copy, Default)]
struct Amounts {
    requests: i64,
    refused: i64,
    failed: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost: i64,
    duration_micros: i64,
    /// The first and the last block that has such a request.
    blocks: Option<(i64, i64)>,
}

impl<'a> Sum<'a> {
    /// The finest sum that a request belongs to.
    fn of(facts: &'a HoldFacts, outcome: Outcome) -> Self {
        Self {
            split: Split::Everything,
            span: Span::Hour,
            start: Span::Hour.start_of(facts.at),
            key: Some(facts.key),
            user: facts.user,
            profile: facts.profile,
            outcome: outcome.as_str(),
            provider: facts.provider.as_str(),
            model: &facts.model,
        }
    }

    /// The sum that this one is a part of.
    fn part_of(self, split: Split, span: Span) -> Self {
        let text = |text: &'a str, dimension| if split.has(dimension) { text } else { "" };
        Self {
            split,
            span,
            start: span.start_of(self.start),
            key: self.key.filter(|_| split.has(Dimension::Key)),
            user: self.user.filter(|_| split.has(Dimension::User)),
            profile: self.profile.filter(|_| split.has(Dimension::Profile)),
            outcome: if split.has(Dimension::Outcome) {
                self.outcome
            } else {
                ""
            },
            provider: text(self.provider, Dimension::Provider),
            model: text(self.model, Dimension::Model),
        }
    }
}

impl Amounts {
    fn of(ending: &Ending, block: i64) -> Self {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            requests: 1,
            refused: i64::from(ending.outcome == Outcome::Refused),
            failed: i64::from(ending.outcome == Outcome::Failed),
            input_tokens: number(ending.usage.total_input()),
            output_tokens: number(ending.usage.total_output()),
            cost: ending.cost.nanos(),
            duration_micros: number(ending.duration_micros),
            blocks: Some((block, block)),
        }
    }

    fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.refused = self.refused.saturating_add(more.refused);
        self.failed = self.failed.saturating_add(more.failed);
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.cost = self.cost.saturating_add(more.cost);
        self.duration_micros = self.duration_micros.saturating_add(more.duration_micros);
        self.blocks = match (self.blocks, more.blocks) {
            (Some(blocks), Some(more)) => Some((blocks.0.min(more.0), blocks.1.max(more.1))),
            (known, None) | (None, known) => known,
        };
    }
}

/// What becomes of a sum that is there already. One from before blocks were noted goes on without.
const HELD_SUMS: [&str; 9] = [
    held_sum!("usage_sums", "requests"),
    held_sum!("usage_sums", "refused"),
    held_sum!("usage_sums", "failed"),
    held_sum!("usage_sums", "input_tokens"),
    held_sum!("usage_sums", "output_tokens"),
    held_sum!("usage_sums", "cost"),
    held_sum!("usage_sums", "duration_micros"),
    "first_block = case when excluded.first_block < usage_sums.first_block then excluded.first_block
         else usage_sums.first_block end",
    "last_block = case when excluded.last_block > usage_sums.last_block then excluded.last_block
         else usage_sums.last_block end",
];

/// Adds the finest sums to all sums that they are a part of.
async fn add(tx: &mut Tx, finest: &BTreeMap<Sum<'_>, Amounts>) -> Result<()> {
    let mut sums: BTreeMap<Sum<'_>, Amounts> = BTreeMap::new();
    for (sum, amounts) in finest {
        for split in Split::ALL {
            for span in Span::ALL {
                sums.entry(sum.part_of(split, span))
                    .or_default()
                    .add(amounts);
            }
        }
    }
    let sums: Vec<_> = sums.iter().collect();
    for piece in pieces(&sums) {
        let mut insert = query(
            "insert into usage_sums (split, span, start, key_id, user_id, profile_id, provider, model, outcome,
                 requests, refused, failed, input_tokens, output_tokens, cost, duration_micros, first_block, last_block)
             values ",
        );
        let mut separator = "";
        for (sum, amounts) in piece {
            insert.push(separator);
            push_row(&mut insert, sum, amounts);
            separator = ", ";
        }
        insert.push(
            " on conflict (split, span, start, key_id, user_id, profile_id, provider, model, outcome) do update set ",
        );
        let mut separator = "";
        for sum in HELD_SUMS {
            insert.push(separator);
            insert.push(sum);
            separator = ", ";
        }
        tx.execute(insert).await?;
    }
    Ok(())
}

/// An empty text, or profile 0, stands for nobody and for what the sum is not split by.
fn push_row(insert: &mut Query, sum: &Sum<'_>, amounts: &Amounts) {
    insert.push_list::<Value>([
        sum.split.code().into(),
        sum.span.hours().into(),
        sum.start.into(),
        sum.key.map(|id| id.to_string()).unwrap_or_default().into(),
        sum.user.map(|id| id.to_string()).unwrap_or_default().into(),
        sum.profile.map_or(0, |id| id.0).into(),
        sum.provider.into(),
        sum.model.into(),
        sum.outcome.into(),
        amounts.requests.into(),
        amounts.refused.into(),
        amounts.failed.into(),
        amounts.input_tokens.into(),
        amounts.output_tokens.into(),
        amounts.cost.into(),
        amounts.duration_micros.into(),
        amounts.blocks.map(|blocks| blocks.0).into(),
        amounts.blocks.map(|blocks| blocks.1).into(),
    ]);
}

/// Corrects what a request in doubt cost: in the log and the sums.
pub(super) async fn resolve(
    tx: &mut Tx,
    request: RequestId,
    cost: Usd,
    at: Timestamp,
) -> Result<()> {
    // Old requests are forgotten after their retention; the counters were corrected all the same.
    let Some((id, mut block)) = blocks::holding(&mut Db::Tx(tx), request).await? else {
        return Ok(());
    };
    let Some(before) = block.resolve(request, cost, at) else {
        return Ok(());
    };
    blocks::put(tx, id, &block).await?;
    let LogEntry { facts, ending } = &before.entry;
    let difference = Amounts {
        cost: cost.nanos().saturating_sub(ending.cost.nanos()),
        blocks: Some((id, id)),
        ..Amounts::default()
    };
    let sum = Sum::of(facts, ending.outcome);
    add(tx, &BTreeMap::from([(sum, difference)])).await
}

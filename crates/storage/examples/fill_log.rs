//! Fills the request log of a database that no server runs on, through the same fold that a server uses; `bench/scale`
//! measures with it.
//!
//! `fill_log <database url> <file with the master key> <requests>` spreads that many requests over the thirty days that
//! end with 25 November 2026, the same ones in every run. It leaves the database's place in the journal advanced: whoever
//! wants to go on with the journal puts the row of `ledger_position` back.

use std::sync::Arc;

use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{
    Ending, FoldBatch, HoldFacts, JournalPosition, LogEntry, Outcome,
};
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::usage::TokenUsage;
use tollgate_domain::{Timestamp, Usd};
use tollgate_storage::{Store, Vault};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

const DAYS: i64 = 30;
const DAY: i64 = 86_400_000_000;
/// Requests in one transaction.
const PIECE: u64 = 200_000;
const KEYS: u64 = 100;
const PROFILES: u64 = 20;
/// One request in a million is for the first model, which makes it rare.
const RARE: (&str, &str) = ("quiet", "rare-model");
const MODELS: [(&str, &str); 8] = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "o3"),
    ("anthropic", "claude-sonnet-4"),
    ("anthropic", "claude-haiku-4"),
    ("acme", "llama-70b"),
    ("acme", "llama-8b"),
    ("acme", "mixtral"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    fill(&arguments).await
}

async fn fill(arguments: &[String]) -> Result<(), Failure> {
    let [url, key, requests] = arguments else {
        return Err("takes a database url, a file with the master key and a number".into());
    };
    let requests: u64 = requests.parse()?;
    let end: Timestamp = "2026-11-26T00:00:00Z".parse()?;
    let key = Vault::parse_master_key(&std::fs::read_to_string(key)?)?;
    let vault = Arc::new(Vault::new(key.as_slice())?);
    let store = Store::connect(url, vault, end).await?;
    let state = store.ledger_state().await?;
    let journal = state.journal.unwrap_or(Uuid::from_u128(1));
    let mut position = state.position;
    let start = end.saturating_add_micros(-DAYS * DAY);
    for first in (0..requests).step_by(usize::try_from(PIECE)?) {
        let numbers = first..requests.min(first + PIECE);
        let log: Vec<LogEntry> = numbers
            .map(|number| {
                let part = i128::from(DAYS * DAY) * i128::from(number) / i128::from(requests);
                request(number, start.saturating_add_micros(i64::try_from(part)?))
            })
            .collect::<Result<_, _>>()?;
        let from = position;
        position = JournalPosition {
            offset: from.offset + 1,
            ..from
        };
        store
            .fold(&FoldBatch {
                journal,
                from,
                to: position,
                last_instant: end,
                counters: Vec::new(),
                log,
                resolved: Vec::new(),
                corrections: Vec::new(),
                resets: Vec::new(),
                opened: Vec::new(),
                closed: Vec::new(),
                in_doubt: Vec::new(),
            })
            .await?;
    }
    store.close().await;
    Ok(())
}

/// A request as any other; `number` decides everything.
fn request(number: u64, at: Timestamp) -> Result<LogEntry, Failure> {
    let chance = mixed(number);
    let key = chance % KEYS;
    let (provider, model) = if number % 1_000_000 == 4_321 {
        RARE
    } else {
        MODELS[usize::try_from((chance >> 8) % 8)?]
    };
    let (outcome, status) = match (chance >> 16) % 100 {
        0..=2 => (Outcome::Refused, 429),
        3..=4 => (Outcome::Failed, 502),
        5 => (Outcome::Counted, 200),
        _ => (Outcome::Reported, 200),
    };
    let millis = u128::try_from(at.as_micros() / 1_000)?;
    let provider: ProviderName = provider.parse()?;
    Ok(LogEntry {
        facts: HoldFacts {
            request: RequestId::from_uuid(Uuid::from_u128(
                millis << 80 | 7 << 76 | 2 << 62 | u128::from(number),
            )),
            at,
            key: VirtualKeyId::from_uuid(Uuid::from_u128(key.into())),
            user: Some(UserId::from_uuid(Uuid::from_u128((key / 2).into()))),
            copy: None,
            profile: Some(ProfileId(i64::try_from(key % PROFILES)? + 1)),
            profile_version: Some(1),
            provider,
            model: model.to_owned(),
            endpoint: Endpoint::ChatCompletions,
            is_stream: chance & 1 == 0,
            is_bound: false,
            reserved_cost: Usd::from_nanos(2_000_000),
            reserved_tokens: 2_000,
            shadow: None,
        },
        ending: Ending {
            at: at.saturating_add_micros(i64::try_from(200_000 + (chance >> 24) % 4_000_000)?),
            outcome,
            status,
            error_code: (status != 200).then(|| "rate_limit_exceeded".to_owned()),
            usage: TokenUsage {
                input: (chance >> 32) % 3_000,
                output: (chance >> 44) % 900,
                ..TokenUsage::default()
            },
            cost: Usd::from_nanos(i64::try_from((chance >> 20) % 3_000_000)?),
            duration_micros: 200_000 + (chance >> 24) % 4_000_000,
            first_byte_micros: Some(150_000),
            attempts: 1,
        },
    })
}

/// Bits that look random.
const fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

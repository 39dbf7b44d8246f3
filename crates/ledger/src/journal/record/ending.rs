//! How a request ended.

use tollgate_domain::accounting::{Ending, Outcome};
use tollgate_domain::usage::ServiceTier;
use tollgate_domain::{TokenUsage, Usd};

use super::super::codec::{Decoder, Encoder, Malformed};
use super::CODE_BYTES;

const TIERS: [(ServiceTier, u8); 5] = [
    (ServiceTier::Standard, 0),
    (ServiceTier::Flex, 1),
    (ServiceTier::Priority, 2),
    (ServiceTier::Batch, 3),
    (ServiceTier::Fast, 4),
];

/// Stands for "no first byte".
const NEVER: u64 = u64::MAX;

pub(super) fn encode_ending(to: &mut Encoder<'_>, ending: &Ending) {
    to.instant(ending.at);
    to.u8(ending.outcome.code());
    to.u16(ending.status);
    to.text(ending.error_code.as_deref().unwrap_or_default(), CODE_BYTES);
    let usage = &ending.usage;
    for tokens in [
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.audio_input,
        usage.output,
        usage.reasoning,
        usage.audio_output,
    ] {
        to.u64(tokens);
    }
    let tier = TIERS.iter().find(|(tier, _)| *tier == usage.tier);
    to.u8(tier.map_or(0, |(_, code)| *code));
    to.i64(ending.cost.nanos());
    to.u64(ending.duration_micros);
    to.u64(ending.first_byte_micros.unwrap_or(NEVER));
    to.u32(ending.attempts);
}

pub(super) fn decode_ending(from: &mut Decoder<'_>) -> Result<Ending, Malformed> {
    Ok(Ending {
        at: from.instant()?,
        outcome: Outcome::from_code(from.u8()?).ok_or(Malformed)?,
        status: from.u16()?,
        error_code: Some(from.text()?)
            .filter(|code| !code.is_empty())
            .map(str::to_owned),
        usage: decode_usage(from)?,
        cost: Usd::from_nanos(from.i64()?),
        duration_micros: from.u64()?,
        first_byte_micros: Some(from.u64()?).filter(|micros| *micros != NEVER),
        attempts: from.u32()?,
    })
}

fn decode_usage(from: &mut Decoder<'_>) -> Result<TokenUsage, Malformed> {
    Ok(TokenUsage {
        input: from.u64()?,
        cache_read: from.u64()?,
        cache_write_5m: from.u64()?,
        cache_write_1h: from.u64()?,
        audio_input: from.u64()?,
        output: from.u64()?,
        reasoning: from.u64()?,
        audio_output: from.u64()?,
        tier: {
            let code = from.u8()?;
            let tier = TIERS.iter().find(|(_, known)| *known == code);
            tier.map(|(tier, _)| *tier).ok_or(Malformed)?
        },
    })
}

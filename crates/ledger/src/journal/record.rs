//! The records of the journal and their bytes. `docs/journal.md` describes the same for people.

#[cfg(test)]
mod tests;

use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{
    CounterAmount, Ending, HoldFacts, JournalPosition, LogEntry, Outcome, Shadow,
};
use tollgate_domain::ids::{
    AuditEntryId, CopyId, ProfileId, RequestId, ResetId, UserId, VirtualKeyId,
};
use tollgate_domain::limits::{MeterId, MeterKind, Window};
use tollgate_domain::live::CorrectionNote;
use tollgate_domain::usage::ServiceTier;
use tollgate_domain::{ErrorKind, Timestamp, TokenUsage, Usd};

use super::codec::{Decoder, Encoder, Malformed};
use crate::meters::Move;

/// Longest texts that are kept, in bytes.
const MODEL_BYTES: u16 = 256;
const CODE_BYTES: u16 = 64;

/// Bytes in front of every payload: marker, kind, version, length, checksum.
pub(crate) const FRAME_BYTES: usize = 12;
/// What every frame starts with, so that records can be found again after damage.
pub(crate) const MARKER: [u8; 2] = *b"Tg";
/// The version of a payload that says nothing that the first format could not say.
const VERSION: u8 = 1;
/// The version of a correction that says who made it and why.
const NOTED_VERSION: u8 = 2;
/// The version of a hold that says what a profile in shadow mode would have refused.
const SHADOWED_VERSION: u8 = 2;
/// No payload is longer; a longer length is damage.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// Bytes of a settlement without its charges: frame, request, ending, and some to spare.
const SETTLEMENT_BYTES: u32 = 256;
/// Bytes of one charge.
const CHARGE_BYTES: u32 = 50;

/// Bytes to set aside for the end of a hold on this many meters.
pub(crate) fn room_for(meters: usize) -> u32 {
    let meters = u32::try_from(meters).unwrap_or(u32::MAX);
    SETTLEMENT_BYTES.saturating_add(meters.saturating_mul(CHARGE_BYTES))
}

/// One step of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A hold was given.
    Open {
        facts: HoldFacts,
        holds: Vec<CounterAmount>,
    },
    /// A hold was replaced by another of the same request; `left` is charged to meters that it left.
    Exchange {
        facts: HoldFacts,
        holds: Vec<CounterAmount>,
        left: Vec<CounterAmount>,
    },
    /// A hold ended and was charged.
    Settle {
        request: RequestId,
        ending: Ending,
        charges: Vec<CounterAmount>,
    },
    /// A hold ended without having been dispatched.
    Release { request: RequestId, at: Timestamp },
    /// A request was refused.
    Refuse(Box<LogEntry>),
    /// Counters were corrected.
    Adjust {
        at: Timestamp,
        changes: Vec<CounterAmount>,
        /// `None`: by an earlier version, which wrote so that usage was set back to zero.
        noted: Option<Noted>,
    },
    /// An in-doubt amount was replaced.
    Resolve {
        at: Timestamp,
        request: RequestId,
        amount: Usd,
        changes: Vec<CounterAmount>,
        noted: Option<Noted>,
    },
    /// Usage was set back to zero.
    Reset {
        at: Timestamp,
        id: ResetId,
        changes: Vec<CounterAmount>,
    },
    /// Usage followed an edited line into another window.
    Move { at: Timestamp, moved: Move },
    /// Everything before `synced` is on disk.
    Watermark {
        at: Timestamp,
        synced: JournalPosition,
    },
    /// So many bytes that a repair made harmless, after the frame.
    Skip(usize),
}

/// What a correction by hand says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) note: CorrectionNote,
    /// The amount before the correction.
    pub(crate) before: Usd,
}

impl Record {
    /// The lowest version that can say it, so that an older program reads as much as it can.
    fn version(&self) -> u8 {
        match self {
            Self::Adjust { noted: Some(_), .. } | Self::Resolve { noted: Some(_), .. } => {
                NOTED_VERSION
            }
            Self::Open { facts, .. } | Self::Exchange { facts, .. } if facts.shadow.is_some() => {
                SHADOWED_VERSION
            }
            _ => VERSION,
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Open { .. } => 1,
            Self::Exchange { .. } => 2,
            Self::Settle { .. } => 3,
            Self::Release { .. } => 4,
            Self::Refuse(_) => 5,
            Self::Adjust { .. } => 6,
            Self::Resolve { .. } => 7,
            Self::Move { .. } => 8,
            Self::Watermark { .. } => 9,
            Self::Skip(_) => 10,
            Self::Reset { .. } => 11,
        }
    }

    /// When it happened.
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Open { facts, .. } | Self::Exchange { facts, .. } => facts.at,
            Self::Settle { ending, .. } => ending.at,
            Self::Refuse(entry) => entry.ending.at,
            Self::Release { at, .. }
            | Self::Adjust { at, .. }
            | Self::Resolve { at, .. }
            | Self::Reset { at, .. }
            | Self::Move { at, .. }
            | Self::Watermark { at, .. } => *at,
            Self::Skip(_) => Timestamp::MIN,
        }
    }

    /// The framed bytes. `salt` belongs to the journal, so that a record of another one does not pass for one of this.
    pub(crate) fn encode(&self, salt: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(768);
        bytes.extend_from_slice(&MARKER);
        bytes.extend_from_slice(&[self.code(), self.version()]);
        bytes.extend_from_slice(&[0; 8]);
        self.payload(&mut Encoder(&mut bytes));
        let length = u32::try_from(bytes.len() - FRAME_BYTES).unwrap_or(u32::MAX);
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        let checksum = checksum(salt, &bytes[..8], &bytes[FRAME_BYTES..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn payload(&self, to: &mut Encoder<'_>) {
        match self {
            Self::Open { facts, holds } => {
                encode_facts(to, facts);
                encode_shadow(to, facts.shadow);
                to.counters(holds);
            }
            Self::Exchange { facts, holds, left } => {
                encode_facts(to, facts);
                encode_shadow(to, facts.shadow);
                to.counters(holds);
                to.counters(left);
            }
            Self::Settle {
                request,
                ending,
                charges,
            } => {
                to.uuid(request.uuid());
                encode_ending(to, ending);
                to.counters(charges);
            }
            Self::Release { request, at } => {
                to.uuid(request.uuid());
                to.instant(*at);
            }
            Self::Refuse(entry) => {
                encode_facts(to, &entry.facts);
                encode_ending(to, &entry.ending);
            }
            Self::Adjust { at, changes, noted } => {
                to.instant(*at);
                to.counters(changes);
                encode_note(to, noted.as_ref());
            }
            Self::Resolve {
                at,
                request,
                amount,
                changes,
                noted,
            } => {
                to.instant(*at);
                to.uuid(request.uuid());
                to.i64(amount.nanos());
                to.counters(changes);
                encode_note(to, noted.as_ref());
            }
            Self::Reset { at, id, changes } => {
                to.instant(*at);
                to.uuid(id.uuid());
                to.counters(changes);
            }
            Self::Move { at, moved } => {
                to.instant(*at);
                to.counter(&moved.from);
                to.window_only(moved.to);
            }
            Self::Watermark { at, synced } => {
                to.instant(*at);
                to.u64(synced.segment);
                to.u64(synced.offset);
            }
            Self::Skip(bytes) => to.0.resize(to.0.len() + bytes, 0),
        }
    }

    /// The record of a payload whose checksum has been found right.
    pub(crate) fn decode(code: u8, version: u8, payload: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder(payload);
        let (has_shadow, has_note) = match (code, version) {
            (_, VERSION) => (false, false),
            (1 | 2, SHADOWED_VERSION) => (true, false),
            (6 | 7, NOTED_VERSION) => (false, true),
            _ => return Err(Malformed),
        };
        let record = match code {
            1 => Self::Open {
                facts: decode_shadowed_facts(&mut from, has_shadow)?,
                holds: from.counters()?,
            },
            2 => Self::Exchange {
                facts: decode_shadowed_facts(&mut from, has_shadow)?,
                holds: from.counters()?,
                left: from.counters()?,
            },
            3 => Self::Settle {
                request: RequestId::from_uuid(from.uuid()?),
                ending: decode_ending(&mut from)?,
                charges: from.counters()?,
            },
            4 => Self::Release {
                request: RequestId::from_uuid(from.uuid()?),
                at: from.instant()?,
            },
            5 => Self::Refuse(Box::new(LogEntry {
                facts: decode_facts(&mut from)?,
                ending: decode_ending(&mut from)?,
            })),
            6 => Self::Adjust {
                at: from.instant()?,
                changes: from.counters()?,
                noted: when(has_note, || decode_note(&mut from))?,
            },
            7 => Self::Resolve {
                at: from.instant()?,
                request: RequestId::from_uuid(from.uuid()?),
                amount: Usd::from_nanos(from.i64()?),
                changes: from.counters()?,
                noted: when(has_note, || decode_note(&mut from))?,
            },
            8 => Self::Move {
                at: from.instant()?,
                moved: Move {
                    from: from.counter()?,
                    to: decode_window(&mut from)?,
                },
            },
            9 => Self::Watermark {
                at: from.instant()?,
                synced: JournalPosition {
                    segment: from.u64()?,
                    offset: from.u64()?,
                },
            },
            10 => return Ok(Self::Skip(payload.len())),
            11 => Self::Reset {
                at: from.instant()?,
                id: ResetId::from_uuid(from.uuid()?),
                changes: from.counters()?,
            },
            _ => return Err(Malformed),
        };
        from.end()?;
        Ok(record)
    }
}

/// The checksum of a record: over the front of its frame and its payload.
pub(crate) fn checksum(salt: u32, front: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(front);
    hasher.update(payload);
    hasher.finalize()
}

fn decode_window(from: &mut Decoder<'_>) -> Result<Window, Malformed> {
    from.window()
}

/// Which optional fields are there.
mod flag {
    pub(super) const USER: u8 = 1;
    pub(super) const COPY: u8 = 1 << 1;
    pub(super) const PROFILE: u8 = 1 << 2;
    pub(super) const VERSION: u8 = 1 << 3;
    pub(super) const STREAM: u8 = 1 << 4;
    pub(super) const BOUND: u8 = 1 << 5;
}

fn encode_note(to: &mut Encoder<'_>, noted: Option<&Noted>) {
    let Some(Noted { note, before }) = noted else {
        return;
    };
    to.uuid(note.id.uuid());
    to.text(&note.actor, CorrectionNote::ACTOR_BYTES);
    to.text(&note.reason, CorrectionNote::REASON_BYTES);
    let user = if note.user.is_some() { flag::USER } else { 0 };
    let profile = if note.profile.is_some() {
        flag::PROFILE
    } else {
        0
    };
    to.u8(user | profile);
    if let Some(user) = note.user {
        to.uuid(user.uuid());
    }
    if let Some(profile) = note.profile {
        to.i64(profile.0);
    }
    to.i64(before.nanos());
}

fn decode_note(from: &mut Decoder<'_>) -> Result<Noted, Malformed> {
    let id = AuditEntryId::from_uuid(from.uuid()?);
    let actor = from.text()?.to_owned();
    let reason = from.text()?.to_owned();
    let flags = from.u8()?;
    let has = |flag: u8| flags & flag != 0;
    Ok(Noted {
        note: CorrectionNote {
            id,
            actor,
            reason,
            user: when(has(flag::USER), || Ok(UserId::from_uuid(from.uuid()?)))?,
            profile: when(has(flag::PROFILE), || Ok(ProfileId(from.i64()?)))?,
        },
        before: Usd::from_nanos(from.i64()?),
    })
}

fn encode_facts(to: &mut Encoder<'_>, facts: &HoldFacts) {
    let set = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    to.uuid(facts.request.uuid());
    to.instant(facts.at);
    to.uuid(facts.key.uuid());
    to.u8(set(facts.user.is_some(), flag::USER)
        | set(facts.copy.is_some(), flag::COPY)
        | set(facts.profile.is_some(), flag::PROFILE)
        | set(facts.profile_version.is_some(), flag::VERSION)
        | set(facts.is_stream, flag::STREAM)
        | set(facts.is_bound, flag::BOUND));
    if let Some(user) = facts.user {
        to.uuid(user.uuid());
    }
    if let Some(copy) = facts.copy {
        to.uuid(copy.uuid());
    }
    if let Some(profile) = facts.profile {
        to.i64(profile.0);
    }
    if let Some(version) = facts.profile_version {
        to.i64(version);
    }
    to.text(facts.provider.as_str(), CODE_BYTES);
    to.text(&facts.model, MODEL_BYTES);
    to.text(facts.endpoint.as_str(), CODE_BYTES);
    to.i64(facts.reserved_cost.nanos());
    to.u64(facts.reserved_tokens);
}

fn decode_facts(from: &mut Decoder<'_>) -> Result<HoldFacts, Malformed> {
    let request = RequestId::from_uuid(from.uuid()?);
    let at = from.instant()?;
    let key = VirtualKeyId::from_uuid(from.uuid()?);
    let flags = from.u8()?;
    let has = |flag: u8| flags & flag != 0;
    Ok(HoldFacts {
        request,
        at,
        key,
        user: when(has(flag::USER), || Ok(UserId::from_uuid(from.uuid()?)))?,
        copy: when(has(flag::COPY), || Ok(CopyId::from_uuid(from.uuid()?)))?,
        profile: when(has(flag::PROFILE), || Ok(ProfileId(from.i64()?)))?,
        profile_version: when(has(flag::VERSION), || from.i64())?,
        provider: from.text()?.parse().map_err(|_| Malformed)?,
        model: from.text()?.to_owned(),
        endpoint: Endpoint::parse(from.text()?).ok_or(Malformed)?,
        is_stream: has(flag::STREAM),
        is_bound: has(flag::BOUND),
        reserved_cost: Usd::from_nanos(from.i64()?),
        reserved_tokens: from.u64()?,
        shadow: None,
    })
}

/// The kind of a limit when there is none; kinds of limits start at 1.
const NO_LIMIT: u8 = 0;

fn encode_shadow(to: &mut Encoder<'_>, shadow: Option<Shadow>) {
    let Some(Shadow { kind, limit }) = shadow else {
        return;
    };
    to.text(kind.code(), CODE_BYTES);
    to.u8(limit.map_or(NO_LIMIT, |limit| limit.kind.code()));
    if let Some(limit) = limit {
        to.uuid(limit.line);
    }
}

fn decode_shadow(from: &mut Decoder<'_>) -> Result<Shadow, Malformed> {
    let kind = ErrorKind::from_code(from.text()?).ok_or(Malformed)?;
    let limit = match from.u8()? {
        NO_LIMIT => None,
        code => Some(MeterId {
            kind: MeterKind::from_code(code).ok_or(Malformed)?,
            line: from.uuid()?,
        }),
    };
    Ok(Shadow { kind, limit })
}

fn decode_shadowed_facts(from: &mut Decoder<'_>, has_shadow: bool) -> Result<HoldFacts, Malformed> {
    let facts = decode_facts(from)?;
    let shadow = when(has_shadow, || decode_shadow(from))?;
    Ok(HoldFacts { shadow, ..facts })
}

fn when<T>(
    is_there: bool,
    read: impl FnOnce() -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    if is_there { read().map(Some) } else { Ok(None) }
}

const TIERS: [(ServiceTier, u8); 5] = [
    (ServiceTier::Standard, 0),
    (ServiceTier::Flex, 1),
    (ServiceTier::Priority, 2),
    (ServiceTier::Batch, 3),
    (ServiceTier::Fast, 4),
];

/// Stands for "no first byte".
const NEVER: u64 = u64::MAX;

fn encode_ending(to: &mut Encoder<'_>, ending: &Ending) {
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

fn decode_ending(from: &mut Decoder<'_>) -> Result<Ending, Malformed> {
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

//! The records of the journal and their bytes. `docs/journal.md` describes the same for people.

mod ending;
mod facts;
mod note;
#[cfg(test)]
mod tests;

use tollgate_domain::accounting::{CounterAmount, Ending, HoldFacts, JournalPosition, LogEntry};
use tollgate_domain::ids::{RequestId, ResetId};
use tollgate_domain::{Timestamp, Usd};

use self::ending::{decode_ending, encode_ending};
use self::facts::{decode_facts, decode_shadowed_facts, encode_facts, encode_shadow};
pub(crate) use self::note::Noted;
use self::note::{decode_note, encode_note};
use super::codec::{COUNTER_BYTES, Decoder, Encoder, Malformed};
use crate::meters::Move;

/// Longest code of an error, name of a provider or of an endpoint that is kept, in bytes.
const CODE_BYTES: u16 = 64;

/// Bytes in front of every payload: marker, kind, version, length, checksum.
pub(crate) const FRAME_BYTES: usize = 12;
/// What every frame starts with, so that records can be found again after damage.
pub(crate) const MARKER: [u8; 2] = *b"Tg";
/// The version of a payload that says nothing that the first format could not say.
const VERSION: u8 = 1;
/// The version of a correction that says who made it and why.
const NOTED_VERSION: u8 = 2;
/// The version of one that also says how its repetition is known.
const ONCE_VERSION: u8 = 3;
/// The version of a hold that says what a profile in shadow mode would have refused.
const SHADOWED_VERSION: u8 = 2;
/// No payload is longer; a longer length is damage.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// Bytes of a settlement without its charges: frame, request, ending, and some to spare.
const SETTLEMENT_BYTES: u32 = 256;

/// Bytes to set aside for the end of a hold on this many meters.
pub(crate) fn room_for(meters: usize) -> u32 {
    let charges = meters.saturating_mul(COUNTER_BYTES);
    SETTLEMENT_BYTES.saturating_add(u32::try_from(charges).unwrap_or(u32::MAX))
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

impl Record {
    /// The lowest version that can say it, so that an older program reads as much as it can.
    fn version(&self) -> u8 {
        match self {
            Self::Adjust {
                noted: Some(noted), ..
            }
            | Self::Resolve {
                noted: Some(noted), ..
            } if noted.note.once.is_some() => ONCE_VERSION,
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
        let is_known = match code {
            1 | 2 => version <= SHADOWED_VERSION,
            6 | 7 => version <= ONCE_VERSION,
            _ => version <= VERSION,
        };
        if version < VERSION || !is_known {
            return Err(Malformed);
        }
        let has_shadow = version == SHADOWED_VERSION;
        let note = |from: &mut Decoder<'_>| {
            let has_once = version == ONCE_VERSION;
            when(version >= NOTED_VERSION, || decode_note(from, has_once))
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
                noted: note(&mut from)?,
            },
            7 => Self::Resolve {
                at: from.instant()?,
                request: RequestId::from_uuid(from.uuid()?),
                amount: Usd::from_nanos(from.i64()?),
                changes: from.counters()?,
                noted: note(&mut from)?,
            },
            8 => Self::Move {
                at: from.instant()?,
                moved: Move {
                    from: from.counter()?,
                    to: from.window()?,
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

/// Which optional fields are there.
mod flag {
    pub(super) const USER: u8 = 1;
    pub(super) const COPY: u8 = 1 << 1;
    pub(super) const PROFILE: u8 = 1 << 2;
    pub(super) const VERSION: u8 = 1 << 3;
    pub(super) const STREAM: u8 = 1 << 4;
    pub(super) const BOUND: u8 = 1 << 5;
}

fn when<T>(
    is_there: bool,
    read: impl FnOnce() -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    if is_there { read().map(Some) } else { Ok(None) }
}

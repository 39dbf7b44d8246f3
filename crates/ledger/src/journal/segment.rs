//! Segments: numbered files, each with a header and then records.

use std::path::{Path, PathBuf};

use tollgate_domain::accounting::JournalPosition;
use uuid::Uuid;

use super::record::{FRAME_BYTES, MARKER, MAX_PAYLOAD_BYTES, Record, checksum};

/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: u64 = 40;
const MAGIC: [u8; 8] = *b"TGJRNL01";
const SUFFIX: &str = ".journal";

/// The path of a segment.
pub(crate) fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:016}{SUFFIX}"))
}

/// The number of the segment of this file name.
pub(crate) fn number(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)
        .filter(|digits| digits.len() == 16)
        .and_then(|digits| digits.parse().ok())
}

/// What makes the checksums of one journal differ from those of another.
pub(crate) fn salt(journal: Uuid) -> u32 {
    crc32fast::hash(journal.as_bytes())
}

/// The header of a segment.
pub(crate) fn header(journal: Uuid, segment: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(journal.as_bytes());
    bytes.extend_from_slice(&segment.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The journal and number that a header names; `None` when it is none.
pub(crate) fn read_header(bytes: &[u8]) -> Option<(Uuid, u64)> {
    let bytes = bytes.get(..usize::try_from(HEADER_BYTES).ok()?)?;
    let (front, sum) = bytes.split_last_chunk::<4>()?;
    let is_ours = front.starts_with(&MAGIC) && crc32fast::hash(front) == u32::from_le_bytes(*sum);
    let journal = Uuid::from_slice(front.get(8..24)?).ok()?;
    let segment = u64::from_le_bytes(front.get(24..32)?.try_into().ok()?);
    is_ours.then_some((journal, segment))
}

/// The journal that a damaged header seems to name: one by which the first record behind it reads.
pub(crate) fn guess_journal(bytes: &[u8]) -> Option<Uuid> {
    let journal = Uuid::from_slice(bytes.get(8..24)?).ok()?;
    let body = bytes.get(usize::try_from(HEADER_BYTES).ok()?..)?;
    matches!(next(body, salt(journal)), Next::Frame(_)).then_some(journal)
}

/// One record as it lies in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) code: u8,
    pub(crate) version: u8,
    pub(crate) payload: &'a [u8],
    /// Bytes of the whole record.
    pub(crate) length: usize,
}

impl Frame<'_> {
    pub(crate) fn record(&self) -> Option<Record> {
        Record::decode(self.code, self.version, self.payload).ok()
    }
}

/// What stands at the start of some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next<'a> {
    /// A whole record.
    Frame(Frame<'a>),
    /// Nothing more: the end, or space that was set aside and never written.
    End,
    /// The start of what may be a record; the rest is not here.
    Partial,
    /// Something that is no record.
    Damage,
}

/// What stands at the start of `bytes`, which reach to the end of the segment or of what was read of it.
pub(crate) fn next(bytes: &[u8], salt: u32) -> Next<'_> {
    if bytes.is_empty() {
        return Next::End;
    }
    let Some((front, rest)) = bytes.split_at_checked(FRAME_BYTES) else {
        return if bytes.iter().all(|byte| *byte == 0) {
            Next::End
        } else {
            Next::Partial
        };
    };
    if front[..2] != MARKER {
        return if bytes.iter().all(|byte| *byte == 0) {
            Next::End
        } else {
            Next::Damage
        };
    }
    let word = |at: usize| {
        let mut word = [0; 4];
        word.copy_from_slice(&front[at..at + 4]);
        u32::from_le_bytes(word)
    };
    let length = usize::try_from(word(4)).unwrap_or(usize::MAX);
    if length > MAX_PAYLOAD_BYTES {
        return Next::Damage;
    }
    let Some(payload) = rest.get(..length) else {
        return Next::Partial;
    };
    if checksum(salt, &front[..8], payload) != word(8) {
        return Next::Damage;
    }
    Next::Frame(Frame {
        code: front[2],
        version: front[3],
        payload,
        length: FRAME_BYTES + length,
    })
}

/// How a walk through a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The end of the last good record before anything else.
    pub(crate) end: u64,
    /// Whether what follows is damage rather than the end.
    pub(crate) is_damaged: bool,
    /// The latest point that a watermark names.
    pub(crate) watermark: JournalPosition,
}

/// Shows `see` every good record from `offset` on, up to the end or the first damage. `bytes` start at `offset`.
///
/// Watermarks are looked for behind the damage as well: they tell whether it struck what was safely on disk.
pub(crate) fn walk(bytes: &[u8], offset: u64, salt: u32, mut see: impl FnMut(u64, Record)) -> Walk {
    let mut at = 0;
    let mut walk = Walk {
        end: offset,
        is_damaged: false,
        watermark: JournalPosition::default(),
    };
    loop {
        let frame = match next(&bytes[at..], salt) {
            Next::Frame(frame) => frame,
            Next::End => return walk,
            Next::Partial | Next::Damage => break,
        };
        let Some(record) = frame.record() else { break };
        if let Record::Watermark { synced, .. } = &record {
            walk.watermark = walk.watermark.max(*synced);
        }
        see(walk.end, record);
        at += frame.length;
        walk.end = offset + at as u64;
    }
    walk.is_damaged = true;
    for (_, record) in survivors(&bytes[at..], salt) {
        if let Record::Watermark { synced, .. } = record {
            walk.watermark = walk.watermark.max(synced);
        }
    }
    walk
}

/// The good records in bytes that start with damage, with their places.
pub(crate) fn survivors(bytes: &[u8], salt: u32) -> impl Iterator<Item = (usize, Record)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            if let Next::Frame(frame) = next(&bytes[at..], salt)
                && let Some(record) = frame.record()
            {
                let place = at;
                at += frame.length;
                return Some((place, record));
            }
            // On to the next place where a record could start.
            let marker = |rest: &[u8]| rest.windows(2).position(|pair| pair == MARKER);
            at = match bytes.get(at + 1..).and_then(marker) {
                Some(further) => at + 1 + further,
                None => bytes.len(),
            };
        }
        None
    })
}

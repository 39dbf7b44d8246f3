//! `tollgate journal verify` and `repair`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use tollgate_domain::Usd;
use tollgate_domain::accounting::JournalPosition;
use uuid::Uuid;

use super::record::{FRAME_BYTES, MAX_PAYLOAD_BYTES, Record};
use super::recover::keep;
use super::segment;
use crate::error::OpenError;
use crate::fs::{Access, FileSystem, HostFileSystem, read_from};

/// What a journal holds, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalReport {
    /// The journal's id; `None` when there is no segment, or no segment tells.
    pub journal: Option<Uuid>,
    /// Every segment, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Everything before this was on disk when the journal was last synced.
    pub watermark: JournalPosition,
    /// Holds that begin and do not end here.
    pub open_holds: u64,
    /// The cost of all requests that end here.
    pub settled: Usd,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its number.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Records that read.
    pub records: u64,
    /// Whether its header reads, and names this journal and segment.
    pub has_header: bool,
    /// What does not read, in order.
    pub damage: Vec<Damage>,
}

/// A piece of a segment that does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// Whether nothing follows it: the usual trace of a crash, which the next start sets aside by itself.
    pub is_tail: bool,
}

impl SegmentReport {
    /// One of which nobody can say whose it is.
    fn unreadable(number: u64, path: PathBuf, bytes: &[u8]) -> Self {
        Self {
            number,
            path,
            bytes: bytes.len() as u64,
            records: 0,
            has_header: false,
            damage: Vec::new(),
        }
    }
}

impl JournalReport {
    /// Whether everything reads, a torn tail aside.
    pub fn is_sound(&self) -> bool {
        self.segments
            .iter()
            .all(|segment| segment.has_header && segment.damage.iter().all(|damage| damage.is_tail))
    }
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepairReport {
    /// Copies of the damaged segments as they were; none when nothing was damaged.
    pub kept: Vec<PathBuf>,
    /// Pieces that were made harmless.
    pub skipped: Vec<(u64, Damage)>,
}

/// Reads the whole journal in `data_dir` and says what it finds. Changes nothing.
///
/// # Errors
/// When a file cannot be read.
pub fn verify(data_dir: &Path) -> io::Result<JournalReport> {
    verify_on(&HostFileSystem, &data_dir.join("journal"))
}

/// Makes damaged pieces of the journal in `data_dir` harmless, so that the next start reads past them. Damaged segments
/// are copied first. What the damaged records said is lost: holds without an end are charged in doubt.
///
/// # Errors
/// When the data directory is in use, or a file cannot be written.
pub fn repair(data_dir: &Path) -> Result<RepairReport, OpenError> {
    let failed = |source| OpenError::of(data_dir, source);
    let fs = HostFileSystem;
    let _lock = crate::ledger::lock(&fs, data_dir)?;
    repair_on(&fs, &data_dir.join("journal")).map_err(failed)
}

pub(crate) fn verify_on(fs: &dyn FileSystem, dir: &Path) -> io::Result<JournalReport> {
    let mut report = JournalReport::default();
    let mut numbers: Vec<u64> = fs
        .list(dir)?
        .iter()
        .filter_map(|name| segment::number(name))
        .collect();
    numbers.sort_unstable();
    let mut files = Vec::new();
    for number in numbers {
        let path = segment::path(dir, number);
        let bytes = read_from(&*fs.open(&path, Access::Read)?, 0)?;
        let header = segment::read_header(&bytes);
        files.push((number, path, bytes, header));
    }
    let named = files.iter().find_map(|(_, _, _, header)| *header);
    let guessed = || {
        files
            .iter()
            .find_map(|(_, _, bytes, _)| segment::guess_journal(bytes))
    };
    report.journal = named.map(|(id, _)| id).or_else(guessed);
    let Some(journal) = report.journal else {
        report.segments = files
            .into_iter()
            .map(|(number, path, bytes, _)| SegmentReport::unreadable(number, path, &bytes))
            .collect();
        return Ok(report);
    };
    let mut open = BTreeSet::new();
    for (number, path, bytes, header) in files {
        let mut segment = SegmentReport {
            number,
            path,
            bytes: bytes.len() as u64,
            records: 0,
            has_header: header == Some((journal, number)),
            damage: Vec::new(),
        };
        let records = split(&bytes, segment::salt(journal), &mut segment.damage);
        segment.records = records.len() as u64;
        for record in records {
            match record {
                Record::Open { facts, .. } => {
                    open.insert(facts.request);
                }
                Record::Settle {
                    request, ending, ..
                } => {
                    open.remove(&request);
                    report.settled = report.settled.saturating_add(ending.cost);
                }
                Record::Release { request, .. } => {
                    open.remove(&request);
                }
                Record::Watermark { synced, .. } => {
                    report.watermark = report.watermark.max(synced);
                }
                _ => {}
            }
        }
        report.segments.push(segment);
    }
    report.open_holds = open.len() as u64;
    Ok(report)
}

/// The good records of a segment; what lies between them goes to `damage`.
fn split(bytes: &[u8], salt: u32, damage: &mut Vec<Damage>) -> Vec<Record> {
    let start = usize::try_from(segment::HEADER_BYTES).unwrap_or(usize::MAX);
    let Some(body) = bytes.get(start..) else {
        return Vec::new();
    };
    let mut records = Vec::new();
    let walk = segment::walk(body, segment::HEADER_BYTES, salt, |_, record| {
        records.push(record);
    });
    if !walk.is_damaged {
        return records;
    }
    let mut end = usize::try_from(walk.end).unwrap_or(usize::MAX);
    let first = end;
    for (place, record) in segment::survivors(&bytes[first..], salt) {
        let place = first + place;
        if place > end {
            damage.push(Damage {
                offset: end as u64,
                bytes: (place - end) as u64,
                is_tail: false,
            });
        }
        end = place + record.encode(salt).len();
        records.push(record);
    }
    let rest = bytes.get(end..).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        damage.push(Damage {
            offset: end as u64,
            bytes: rest.len() as u64,
            is_tail: true,
        });
    }
    records
}

pub(crate) fn repair_on(fs: &dyn FileSystem, dir: &Path) -> io::Result<RepairReport> {
    let report = verify_on(fs, dir)?;
    let mut repaired = RepairReport::default();
    let Some(journal) = report.journal else {
        if report.segments.is_empty() {
            return Ok(repaired);
        }
        return Err(io::Error::other(
            "no segment tells which journal it is of; restore from a backup, or set `journal.accept_foreign` to start without what only the journal knew",
        ));
    };
    let salt = segment::salt(journal);
    for segment in report.segments {
        if segment.has_header && segment.damage.is_empty() {
            continue;
        }
        let file = fs.open(&segment.path, Access::Write)?;
        let mut copy = segment.path.clone().into_os_string();
        copy.push(".damaged");
        keep(fs, Path::new(&copy), &read_from(&*file, 0)?)?;
        repaired.kept.push(copy.into());
        if !segment.has_header {
            write_all(&*file, &segment::header(journal, segment.number), 0)?;
        }
        for damage in segment.damage {
            if damage.is_tail {
                file.set_len(damage.offset)?;
            } else {
                cover(&*file, damage, salt)?;
            }
            repaired.skipped.push((segment.number, damage));
        }
        file.sync()?;
    }
    fs.sync_dir(dir)?;
    Ok(repaired)
}

/// Writes records that say nothing over the damage, so that everything else stays where it is.
fn cover(file: &dyn crate::fs::SegmentFile, damage: Damage, salt: u32) -> io::Result<()> {
    let mut offset = damage.offset;
    let mut left = usize::try_from(damage.bytes).map_err(io::Error::other)?;
    while left > 0 {
        let mut piece = left.min(MAX_PAYLOAD_BYTES);
        // What remains must hold a frame as well.
        if left > piece && left - piece < FRAME_BYTES {
            piece -= FRAME_BYTES;
        }
        let payload = piece.checked_sub(FRAME_BYTES).ok_or_else(|| {
            io::Error::other("a damaged piece is shorter than any record; restore from a backup")
        })?;
        write_all(file, &Record::Skip(payload).encode(salt), offset)?;
        offset += piece as u64;
        left -= piece;
    }
    Ok(())
}

fn write_all(file: &dyn crate::fs::SegmentFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => done += written,
        }
    }
    Ok(())
}

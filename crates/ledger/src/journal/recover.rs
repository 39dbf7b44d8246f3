//! Reading the journal after a start: whose it is, what it says, and where it goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::JournalPosition;
use uuid::Uuid;

use super::record::Record;
use super::segment::{self, Walk};
use super::writer::Resume;
use crate::config::LedgerConfig;
use crate::error::OpenError;
use crate::fs::{Access, FileSystem, SegmentFile, read_exactly, read_from};

/// What the start knows before it has read anything.
pub(crate) struct Setup<'a> {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) dir: PathBuf,
    pub(crate) config: &'a LedgerConfig,
    /// The journal that the database belongs to.
    pub(crate) known: Option<Uuid>,
    /// How far the database has folded it.
    pub(crate) position: JournalPosition,
    pub(crate) last: Timestamp,
}

struct Segment {
    number: u64,
    file: Arc<dyn SegmentFile>,
}

/// Reads everything after the database's position, in order, and finds out where to go on.
pub(crate) fn recover(setup: &Setup<'_>, see: &mut dyn FnMut(Record)) -> Result<Resume, OpenError> {
    let failed = |source| OpenError::of(&setup.dir, source);
    let (fs, dir) = (&*setup.fs, setup.dir.as_path());
    fs.create_dir_all(dir).map_err(failed)?;
    let mut segments = open_all(fs, dir).map_err(failed)?;
    drop_unbegun(fs, dir, &mut segments).map_err(failed)?;
    let id = whose(setup, &mut segments).map_err(|error| error.unwrap_or_else(failed))?;
    let after_position = setup.position.segment + 1;
    segments.retain(|segment| segment.number >= setup.position.segment);
    check_numbers(setup.position, &segments)?;

    let reading = Reading {
        setup,
        salt: segment::salt(id),
    };
    let mut last = setup.last;
    let mut tail: Option<(u64, Arc<dyn SegmentFile>, u64)> = None;
    for (index, segment) in segments.iter().enumerate() {
        let start = reading.start(segment);
        let length = segment.file.len().map_err(failed)?;
        if start > length {
            // The database is ahead of the disk: what it folded is safe there, and the journal goes on behind it.
            tail = None;
            continue;
        }
        let bytes = read_from(&*segment.file, start).map_err(failed)?;
        let walk = segment::walk(&bytes, start, reading.salt, |_, record| {
            last = last.max(record.at());
            see(record);
        });
        tail = Some((segment.number, segment.file.clone(), walk.end));
        if !walk.is_damaged {
            segment.file.set_len(walk.end).map_err(failed)?;
            continue;
        }
        reading.refuse_known_damage(segment, &walk, &segments[index + 1..])?;
        reading
            .salvage(segment, &walk, &segments[index + 1..])
            .map_err(failed)?;
        break;
    }
    let newest = segments
        .last()
        .map_or(setup.position.segment, |last| last.number);
    let (segment, tail) = match tail {
        Some((number, file, end)) => (number, Some((file, end))),
        None => ((newest + 1).max(after_position), None),
    };
    Ok(Resume {
        fs: setup.fs.clone(),
        dir: setup.dir.clone(),
        id,
        segment_bytes: setup.config.segment_bytes,
        sync_interval: setup.config.sync_interval,
        last,
        tail,
        segment,
    })
}

fn open_all(fs: &dyn FileSystem, dir: &Path) -> io::Result<Vec<Segment>> {
    let mut numbers: Vec<u64> = fs
        .list(dir)?
        .iter()
        .filter_map(|name| segment::number(name))
        .collect();
    numbers.sort_unstable();
    numbers
        .into_iter()
        .map(|number| {
            let file = fs.open(&segment::path(dir, number), Access::Write)?;
            Ok(Segment { number, file })
        })
        .collect()
}

/// A segment whose header the process did not live to write holds nothing.
fn drop_unbegun(fs: &dyn FileSystem, dir: &Path, segments: &mut Vec<Segment>) -> io::Result<()> {
    if let Some(last) = segments.last()
        && last.file.len()? <= segment::HEADER_BYTES
        && header_of(last)?.is_none()
    {
        fs.remove(&segment::path(dir, last.number))?;
        segments.pop();
    }
    Ok(())
}

fn header_of(segment: &Segment) -> io::Result<Option<Uuid>> {
    let bytes = read_exactly(&*segment.file, 0, segment::HEADER_BYTES)?;
    let header = segment::read_header(&bytes);
    Ok(header
        .filter(|(_, number)| *number == segment.number)
        .map(|(id, _)| id))
}

/// The journal to go on with. `Err(Err(_))` is a failure of the file system.
fn whose(
    setup: &Setup<'_>,
    segments: &mut Vec<Segment>,
) -> Result<Uuid, Result<OpenError, io::Error>> {
    let mut found = None;
    let mut problem = None;
    for segment in segments.iter() {
        match header_of(segment).map_err(Err)? {
            Some(id) if found.is_none_or(|found| found == id) => found = Some(id),
            Some(id) => problem = Some(foreign(setup, id)),
            None => {
                let (segment, offset) = (segment.number, 0);
                let at = JournalPosition { segment, offset };
                problem = Some(OpenError::Damaged { at });
            }
        }
    }
    if let Some(problem) = problem {
        if !setup.config.accepts_foreign_journal {
            return Err(Ok(problem));
        }
        set_all_aside(setup, segments).map_err(Err)?;
        return Ok(setup.known.unwrap_or(setup.config.new_journal_id));
    }
    let begins_at_one = segments.first().is_some_and(|first| first.number == 1);
    match (setup.known, found) {
        (None, None) => Ok(setup.config.new_journal_id),
        (Some(known), Some(found)) if known == found => Ok(known),
        // Nothing of it was folded anywhere: a first start that did not get as far as the database.
        (None, Some(found)) if begins_at_one || setup.config.accepts_foreign_journal => Ok(found),
        (Some(known), None) if setup.config.accepts_foreign_journal => Ok(known),
        (Some(expected), None) => Err(Ok(OpenError::Missing {
            expected,
            dir: setup.dir.clone(),
        })),
        (Some(known), Some(_)) if setup.config.accepts_foreign_journal => {
            set_all_aside(setup, segments).map_err(Err)?;
            Ok(known)
        }
        (_, Some(found)) => Err(Ok(foreign(setup, found))),
    }
}

fn foreign(setup: &Setup<'_>, found: Uuid) -> OpenError {
    OpenError::Foreign {
        found,
        dir: setup.dir.clone(),
    }
}

/// Segments of another journal, or of one that nobody can tell.
fn set_all_aside(setup: &Setup<'_>, segments: &mut Vec<Segment>) -> io::Result<()> {
    segments
        .drain(..)
        .try_for_each(|segment| set_aside(setup, segment.number, "foreign"))
}

/// Gives a segment a name that nothing reads.
fn set_aside(setup: &Setup<'_>, number: u64, why: &str) -> io::Result<()> {
    let path = segment::path(&setup.dir, number);
    let mut aside = path.clone().into_os_string();
    aside.push(format!(".{why}"));
    setup.fs.rename(&path, Path::new(&aside))
}

/// Segments follow each other without a gap, from the one that the database is in, or the one after it.
fn check_numbers(position: JournalPosition, segments: &[Segment]) -> Result<(), OpenError> {
    let Some(first) = segments.first() else {
        return Ok(());
    };
    let is_known_start = position.segment == 0 || first.number <= position.segment + 1;
    let expected = if is_known_start {
        first.number
    } else {
        position.segment
    };
    for (number, segment) in (expected..).zip(segments) {
        if segment.number != number {
            return Err(OpenError::Damaged {
                at: JournalPosition {
                    segment: number,
                    offset: 0,
                },
            });
        }
    }
    Ok(())
}

struct Reading<'a> {
    setup: &'a Setup<'a>,
    salt: u32,
}

impl Reading<'_> {
    /// Where in this segment the database's knowledge ends.
    fn start(&self, segment: &Segment) -> u64 {
        if segment.number == self.setup.position.segment {
            self.setup.position.offset.max(segment::HEADER_BYTES)
        } else {
            segment::HEADER_BYTES
        }
    }

    /// Damage before the last watermark struck what was safely on disk: that is no torn tail, and nobody but an
    /// operator may decide what to do.
    fn refuse_known_damage(
        &self,
        segment: &Segment,
        walk: &Walk,
        later: &[Segment],
    ) -> Result<(), OpenError> {
        let at = JournalPosition {
            segment: segment.number,
            offset: walk.end,
        };
        let mut watermark = walk.watermark;
        for segment in later {
            let bytes = read_from(&*segment.file, segment::HEADER_BYTES)
                .map_err(|source| OpenError::of(&self.setup.dir, source))?;
            let walk = segment::walk(&bytes, segment::HEADER_BYTES, self.salt, |_, _| ());
            watermark = watermark.max(walk.watermark);
        }
        if watermark > at {
            return Err(OpenError::Damaged { at });
        }
        Ok(())
    }

    /// Sets aside what follows the last good record.
    fn salvage(&self, segment: &Segment, walk: &Walk, later: &[Segment]) -> io::Result<()> {
        let (fs, dir) = (&*self.setup.fs, self.setup.dir.as_path());
        let torn = read_from(&*segment.file, walk.end)?;
        let mut aside = segment::path(dir, segment.number).into_os_string();
        aside.push(format!(".torn-{}", walk.end));
        keep(fs, Path::new(&aside), &torn)?;
        segment.file.set_len(walk.end)?;
        for segment in later {
            set_aside(self.setup, segment.number, "torn")?;
        }
        fs.sync_dir(dir)?;
        tracing::warn!(
            segment = segment.number,
            offset = walk.end,
            bytes = torn.len(),
            "the journal ended in a torn record, which was set aside; requests that it belonged to are charged in doubt"
        );
        Ok(())
    }
}

/// Writes a copy of damaged bytes, for whoever wants to look at them.
pub(super) fn keep(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = fs.open(path, Access::New)?;
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], done as u64)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => done += written,
        }
    }
    file.sync()
}

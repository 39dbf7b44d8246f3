//! Appending: one `write` for each record, under the journal's own lock.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tollgate_domain::Timestamp;
use tollgate_domain::accounting::JournalPosition;
use uuid::Uuid;

use super::record::Record;
use super::segment;
use super::written::{Synced, Written};
use crate::error::Unavailable;
use crate::fs::{Access, FileSystem, SegmentFile};

/// Disk space is set aside in steps of this many bytes.
const STEP_BYTES: u64 = 1 << 20;
/// Bytes of a watermark, with some to spare.
const WATERMARK_BYTES: u64 = 64;
/// How often a disk that took nothing is tried again when syncs come at no interval.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The journal as it is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    id: Uuid,
    salt: u32,
    segment_bytes: u64,
    sync_interval: Duration,
    inner: Mutex<Inner>,
    /// One sync at a time, so that they finish in order.
    syncing: Mutex<()>,
    synced: Arc<Synced>,
    /// Wakes the thread that syncs.
    wake: Condvar,
}

#[derive(Debug)]
struct Inner {
    file: Arc<dyn SegmentFile>,
    segment: u64,
    /// End of what was written in the segment.
    offset: u64,
    /// End of what is set aside in it.
    allocated: u64,
    /// Room for the ends of open holds.
    owed: u64,
    /// Bytes written since the start, in all segments.
    written: u64,
    /// Segments that were left and not synced since.
    left: Vec<Arc<dyn SegmentFile>>,
    /// Ends of holds that the disk did not take yet, with the room that waits for them.
    unwritten: VecDeque<(Vec<u8>, u32)>,
    /// The room that the last admission needed and the disk did not give.
    refused: Option<u64>,
    /// Whether what follows the end may be a part of a record, which has to be cut off before anything is written.
    is_torn: bool,
    /// Set for good by a sync that failed.
    failure: Option<Unavailable>,
    has_news: bool,
    is_closing: bool,
    last: Timestamp,
    /// Everything before this is on disk.
    synced_to: JournalPosition,
}

/// What an exchange needs of the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExchangeRoom {
    /// For the record of the exchange.
    pub(crate) record: u32,
    /// For the end of the hold.
    pub(crate) end: u32,
}

/// Where a journal goes on after it was read.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) dir: PathBuf,
    pub(crate) id: Uuid,
    pub(crate) segment_bytes: u64,
    pub(crate) sync_interval: Duration,
    pub(crate) last: Timestamp,
    /// The segment to go on in and its end; `None` to begin the segment of this number.
    pub(crate) tail: Option<(Arc<dyn SegmentFile>, u64)>,
    pub(crate) segment: u64,
}

impl Journal {
    pub(crate) fn resume(resume: Resume) -> io::Result<Self> {
        let Resume {
            fs,
            dir,
            id,
            segment_bytes,
            sync_interval,
            last,
            tail,
            segment,
        } = resume;
        let (file, offset) = match tail {
            Some(tail) => tail,
            None => (begin(&*fs, &dir, id, segment)?, segment::HEADER_BYTES),
        };
        let allocated = offset + STEP_BYTES;
        file.allocate(offset, STEP_BYTES)?;
        let inner = Inner {
            file,
            segment,
            offset,
            allocated,
            owed: 0,
            written: 0,
            left: Vec::new(),
            unwritten: VecDeque::new(),
            refused: None,
            is_torn: false,
            failure: None,
            // What an earlier process wrote may not be on disk yet.
            has_news: true,
            is_closing: false,
            last,
            synced_to: JournalPosition::default(),
        };
        Ok(Self {
            fs,
            dir,
            id,
            salt: segment::salt(id),
            segment_bytes,
            sync_interval,
            inner: Mutex::new(inner),
            syncing: Mutex::default(),
            synced: Arc::default(),
            wake: Condvar::new(),
        })
    }

    pub(crate) const fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) const fn salt(&self) -> u32 {
        self.salt
    }

    pub(crate) fn dir(&self) -> (&dyn FileSystem, &std::path::Path) {
        (&*self.fs, &self.dir)
    }

    pub(crate) const fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    pub(crate) fn end(&self) -> JournalPosition {
        self.inner.lock().position()
    }

    pub(crate) fn synced_to(&self) -> JournalPosition {
        self.inner.lock().synced_to
    }

    pub(crate) fn is_available(&self) -> bool {
        let inner = self.inner.lock();
        inner.failure.is_none() && !inner.is_waiting_for_the_disk()
    }

    /// Writes the start of a hold (or anything that may be refused), and sets `room` aside for its end.
    pub(crate) fn admit(&self, record: &Record, room: u32) -> Result<(), Unavailable> {
        let bytes = record.encode(self.salt);
        let mut inner = self.inner.lock();
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        inner.write_waiting()?;
        let length = bytes.len() as u64;
        if inner.offset + length > self.segment_bytes && inner.offset > segment::HEADER_BYTES {
            self.rotate(&mut inner);
        }
        let owed = inner.owed + u64::from(room);
        let needed = length + owed;
        let written = inner.set_aside(needed).and_then(|()| inner.write(&bytes));
        self.note_admission(&mut inner, needed, &written);
        written?;
        inner.owed = owed;
        inner.last = inner.last.max(record.at());
        Ok(())
    }

    /// Sets room aside for an exchange and for the end of the hold after it. Of the hold's own `old` room nothing is used
    /// yet.
    pub(crate) fn prepare_exchange(&self, room: ExchangeRoom) -> Result<(), Unavailable> {
        let mut inner = self.inner.lock();
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        inner.write_waiting()?;
        let owed = inner.owed + u64::from(room.record) + u64::from(room.end);
        let set_aside = inner.set_aside(owed);
        self.note_admission(&mut inner, owed, &set_aside);
        set_aside?;
        inner.owed = owed;
        Ok(())
    }

    /// Sets room aside for the end of a hold that was opened earlier.
    pub(crate) fn reserve_room(&self, room: u32) -> Result<(), Unavailable> {
        self.prepare_exchange(ExchangeRoom {
            record: 0,
            end: room,
        })
    }

    /// Gives room back that is not needed.
    pub(crate) fn return_room(&self, room: u32) {
        let mut inner = self.inner.lock();
        inner.owed = inner.owed.saturating_sub(u64::from(room));
    }

    /// Writes the end of a hold into the room that was set aside for it. What the disk does not take is kept and tried
    /// again; until then nothing is admitted.
    pub(crate) fn close(&self, record: &Record, room: u32) -> Written {
        let bytes = record.encode(self.salt);
        let mut inner = self.inner.lock();
        inner.last = inner.last.max(record.at());
        inner.unwritten.push_back((bytes, room));
        match inner.write_waiting() {
            Err(failure) => {
                self.wake.notify_one();
                Written::failed(failure)
            }
            Ok(()) if self.sync_interval.is_zero() => {
                let target = inner.written;
                self.wake.notify_one();
                Written::once_synced(self.synced.clone(), target)
            }
            Ok(()) => Written::default(),
        }
    }

    /// Remembers whether the disk gave an admission the room that it needed.
    fn note_admission(&self, inner: &mut Inner, needed: u64, result: &Result<(), Unavailable>) {
        match (inner.refused.is_some(), result) {
            (false, Err(error)) => {
                tracing::error!(%error, "the journal takes no writes; requests are refused until it does");
                self.wake.notify_one();
            }
            (true, Ok(())) => tracing::info!("the journal takes writes again"),
            _ => {}
        }
        inner.refused = result.is_err().then_some(needed);
    }

    /// Writes what waits, and finds out whether the disk would take an admission by now: while nobody is sent here
    /// because readiness is down, no request would find out.
    fn try_again(&self, inner: &mut Inner) {
        if inner.write_waiting().is_err() {
            return;
        }
        let Some(needed) = inner.refused else { return };
        let nothing_new = Record::Watermark {
            at: inner.last,
            synced: inner.synced_to,
        };
        let written = inner
            .set_aside(needed)
            .and_then(|()| inner.write(&nothing_new.encode(self.salt)));
        self.note_admission(inner, needed, &written);
    }

    /// Makes everything that was written durable.
    pub(crate) fn sync(&self) -> Result<(), Unavailable> {
        let _one_at_a_time = self.syncing.lock();
        let (files, target, position) = {
            let mut inner = self.inner.lock();
            if let Some(failure) = &inner.failure {
                return Err(failure.clone());
            }
            // The result shows in `is_available`.
            self.try_again(&mut inner);
            if !inner.has_news && inner.left.is_empty() {
                return Ok(());
            }
            inner.has_news = false;
            let mut files = std::mem::take(&mut inner.left);
            files.push(inner.file.clone());
            (files, inner.written, inner.position())
        };
        let result = files.iter().try_for_each(|file| file.sync());
        let mut inner = self.inner.lock();
        if let Err(error) = result {
            let failure = Unavailable {
                reason: format!("the journal could not be synced: {error}"),
            };
            tracing::error!(%error, "the journal could not be synced; nothing is admitted until a restart");
            inner.failure.get_or_insert(failure.clone());
            drop(inner);
            self.synced.fail(failure.clone());
            return Err(failure);
        }
        inner.synced_to = position;
        let watermark = Record::Watermark {
            at: inner.last,
            synced: position,
        };
        // Without room there is no watermark, which costs nothing but precision.
        let needed = inner.offset + inner.owed + WATERMARK_BYTES;
        let is_clean = inner.unwritten.is_empty() && !inner.is_torn;
        if needed <= inner.allocated && is_clean {
            let had_news = inner.has_news;
            let _ = inner.write(&watermark.encode(self.salt));
            inner.has_news = had_news;
        }
        drop(inner);
        self.synced.reached(target);
        Ok(())
    }

    /// The work of the thread that syncs: returns when the journal is closed.
    pub(crate) fn keep_synced(&self) {
        let mut inner = self.inner.lock();
        while !inner.is_closing {
            if self.sync_interval.is_zero() {
                if inner.failure.is_none() && inner.is_waiting_for_the_disk() {
                    self.wake.wait_for(&mut inner, RETRY_INTERVAL);
                } else if !inner.has_news || inner.failure.is_some() {
                    self.wake.wait(&mut inner);
                    continue;
                }
            } else {
                self.wake.wait_for(&mut inner, self.sync_interval);
            }
            MutexGuard::unlocked(&mut inner, || {
                // A failure has been logged, and refuses whatever comes after it.
                let _ = self.sync();
            });
        }
    }

    /// Ends [`Journal::keep_synced`].
    pub(crate) fn stop(&self) {
        self.inner.lock().is_closing = true;
        self.wake.notify_all();
    }

    /// Begins a new segment. When that fails, the old one just grows.
    fn rotate(&self, inner: &mut Inner) {
        let number = inner.segment + 1;
        let room = inner.owed + STEP_BYTES;
        let begun = begin(&*self.fs, &self.dir, self.id, number).and_then(|file| {
            file.allocate(segment::HEADER_BYTES, room)?;
            Ok(file)
        });
        match begun {
            Ok(file) => {
                // What was set aside and not used goes back.
                let _ = inner.file.set_len(inner.offset);
                inner.left.push(std::mem::replace(&mut inner.file, file));
                inner.segment = number;
                inner.offset = segment::HEADER_BYTES;
                inner.allocated = segment::HEADER_BYTES + room;
            }
            Err(error) => {
                tracing::warn!(%error, "no new segment of the journal could be begun; going on in the old one");
                let _ = self.fs.remove(&segment::path(&self.dir, number));
            }
        }
    }
}

fn begin(
    fs: &dyn FileSystem,
    dir: &std::path::Path,
    id: Uuid,
    segment: u64,
) -> io::Result<Arc<dyn SegmentFile>> {
    let file = fs.open(&segment::path(dir, segment), Access::New)?;
    let header = segment::header(id, segment);
    if file.write_at(&header, 0)? != header.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    fs.sync_dir(dir)?;
    Ok(file)
}

impl Inner {
    const fn position(&self) -> JournalPosition {
        JournalPosition {
            segment: self.segment,
            offset: self.offset,
        }
    }

    /// Makes sure that `length` bytes fit what is set aside.
    fn set_aside(&mut self, length: u64) -> Result<(), Unavailable> {
        let needed = self.offset + length + WATERMARK_BYTES;
        if needed <= self.allocated {
            return Ok(());
        }
        let allocated = needed.max(self.allocated + STEP_BYTES);
        let from = self.allocated;
        let result = self
            .file
            .allocate(from, allocated - from)
            .map(|()| allocated)
            // A whole step may not be left where what is needed is.
            .or_else(|_| self.file.allocate(from, needed - from).map(|()| needed));
        self.allocated = result.map_err(|error| Unavailable {
            reason: format!("no disk space could be set aside: {error}"),
        })?;
        Ok(())
    }

    /// Writes one record, whole or not at all.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Unavailable> {
        let problem = match self.file.write_at(bytes, self.offset) {
            Ok(written) if written == bytes.len() => {
                self.offset += bytes.len() as u64;
                self.written += bytes.len() as u64;
                self.allocated = self.allocated.max(self.offset);
                self.has_news = true;
                return Ok(());
            }
            Ok(written) => format!("only {written} of {} bytes were written", bytes.len()),
            Err(error) => error.to_string(),
        };
        let failure = Unavailable {
            reason: format!("a record could not be written: {problem}"),
        };
        self.is_torn = true;
        // Or before the next write: a disk that takes nothing may not let anything be cut either.
        let _ = self.cut_back();
        Err(failure)
    }

    /// Takes a torn record away. Cutting gives back what was set aside, so that is done again.
    fn cut_back(&mut self) -> Result<(), Unavailable> {
        let cut = self.file.set_len(self.offset);
        cut.map_err(|error| Unavailable {
            reason: format!("a torn record could not be cut back: {error}"),
        })?;
        self.is_torn = false;
        self.allocated = self.offset;
        if self
            .file
            .allocate(self.offset, self.owed + WATERMARK_BYTES)
            .is_ok()
        {
            self.allocated += self.owed + WATERMARK_BYTES;
        }
        Ok(())
    }

    /// The disk did not take an end of a hold, or the last admission, or left a torn record.
    fn is_waiting_for_the_disk(&self) -> bool {
        !self.unwritten.is_empty() || self.refused.is_some() || self.is_torn
    }

    /// Cuts off what is torn, and writes the ends of holds that wait for it.
    fn write_waiting(&mut self) -> Result<(), Unavailable> {
        if self.is_torn {
            self.cut_back()?;
        }
        while let Some((bytes, room)) = self.unwritten.pop_front() {
            if let Err(failure) = self.write(&bytes) {
                self.unwritten.push_front((bytes, room));
                return Err(failure);
            }
            self.owed = self.owed.saturating_sub(u64::from(room));
        }
        Ok(())
    }
}

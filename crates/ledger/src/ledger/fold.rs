//! Reading the journal for the database, in pieces that can be asked for again.

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::{FoldBatch, JournalPosition};

use super::Ledger;
use crate::books::{Books, Changes};
use crate::error::ReadError;
use crate::fs::{Access, read_exactly};
use crate::journal::{HEADER_BYTES, Next, next, number, path};

/// Bytes that are read at once for each record that is asked for.
const USUAL_RECORD_BYTES: u64 = 512;
const SMALLEST_READ_BYTES: u64 = 64 << 10;
/// More at once would be memory that only stands there.
const LARGEST_READ_BYTES: u64 = 512 << 10;

/// How far the database is, and what is open there.
#[derive(Debug)]
pub(super) struct Fold {
    position: JournalPosition,
    books: Books,
    /// A piece that was handed out, and where it ends. The database may or may not have taken it.
    handed_out: Option<(JournalPosition, Changes)>,
}

impl Fold {
    pub(super) fn new(position: JournalPosition, books: Books) -> Self {
        Self {
            position,
            books,
            handed_out: None,
        }
    }

    fn taken_up_to(&mut self, position: JournalPosition) {
        if let Some((_, changes)) = self.handed_out.take_if(|(to, _)| *to == position) {
            self.books.commit(changes);
            self.position = position;
        }
    }

    /// Settles what became of the last piece: asked to go on from its end, the database has it.
    fn go_on_from(&mut self, from: JournalPosition) -> Result<(), ReadError> {
        self.taken_up_to(from);
        if self.position == from {
            Ok(())
        } else {
            Err(ReadError::OutOfOrder {
                expected: self.position,
                asked: from,
            })
        }
    }
}

impl Ledger {
    /// What the journal says after `from`, up to about `limit` records, once it is on disk; `None` when there is nothing
    /// new. The next call goes on from [`FoldBatch::to`]; asking again from the same position gives the same piece.
    ///
    /// Blocks on the disk: call it from a thread that may.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_batch(
        &self,
        from: JournalPosition,
        limit: usize,
    ) -> Result<Option<FoldBatch>, ReadError> {
        let mut fold = self.fold.lock();
        fold.go_on_from(from)?;
        if let Some((to, changes)) = &fold.handed_out {
            // The database may have it, for all that whoever asks knows: only the very same piece can be told to be old.
            return Ok(Some(changes.batch(
                &fold.books,
                self.journal.id(),
                from,
                *to,
            )));
        }
        let mut changes = Changes::default();
        let mut to = self.read_records(&fold.books, from, limit, &mut changes)?;
        if changes.news() == 0 {
            // What the database may know has to be on disk first.
            self.journal.sync()?;
            changes = Changes::default();
            to = self.read_records(&fold.books, from, limit, &mut changes)?;
        }
        if changes.news() == 0 {
            return Ok(None);
        }
        let batch = changes.batch(&fold.books, self.journal.id(), from, to);
        fold.handed_out = Some((to, changes));
        Ok(Some(batch))
    }

    /// The end of what is written now.
    pub fn written_to(&self) -> JournalPosition {
        self.journal.end()
    }

    /// Says that the database holds, durably, everything before `position`: segments that only hold older records are
    /// deleted. Open holds do not need them: they are rows of the database by then.
    pub fn folded(&self, position: JournalPosition) {
        self.fold.lock().taken_up_to(position);
        let (fs, dir) = self.journal.dir();
        let names = match fs.list(dir) {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "old segments of the journal were not looked for");
                return;
            }
        };
        let old = names
            .iter()
            .filter_map(|name| number(name))
            .filter(|number| *number < position.segment);
        for number in old {
            if let Err(error) = fs.remove(&path(dir, number)) {
                tracing::warn!(%error, segment = number, "an old segment of the journal was not deleted");
            }
        }
    }

    /// Bytes that are written and not folded yet. Whole segments in between count as full ones.
    pub(super) fn unfolded_bytes(&self) -> u64 {
        let end = self.journal.end();
        let Some(fold) = self.fold.try_lock() else {
            return 0;
        };
        let position = fold.position;
        if end.segment == position.segment {
            end.offset.saturating_sub(position.offset)
        } else {
            let between = end.segment.saturating_sub(position.segment + 1);
            end.offset + between * self.journal.segment_bytes()
        }
    }

    fn read_records(
        &self,
        books: &Books,
        from: JournalPosition,
        limit: usize,
        changes: &mut Changes,
    ) -> Result<JournalPosition, ReadError> {
        let end = self.journal.synced_to();
        let mut at = from;
        while changes.news() < limit {
            let Some(segment) = self.segment_at(&mut at, end)? else {
                break;
            };
            let before = at;
            let stop = if at.segment == end.segment {
                end.offset
            } else {
                u64::MAX
            };
            self.read_segment(&segment, books, limit, stop, changes, &mut at)?;
            if at == before {
                break;
            }
        }
        Ok(at)
    }

    /// The segment that `at` is in, or the next one when that one is read to its end; `None` at the end of what is
    /// durable.
    fn segment_at(
        &self,
        at: &mut JournalPosition,
        end: JournalPosition,
    ) -> Result<Option<Segment>, ReadError> {
        let (fs, dir) = self.journal.dir();
        let mut numbers: Vec<u64> = fs
            .list(dir)?
            .iter()
            .filter_map(|name| number(name))
            .collect();
        numbers.retain(|number| *number >= at.segment && *number <= end.segment);
        numbers.sort_unstable();
        for number in numbers {
            let file = fs.open(&path(dir, number), Access::Read)?;
            let start = if number == at.segment {
                at.offset.max(HEADER_BYTES)
            } else {
                HEADER_BYTES
            };
            let length = if number == end.segment {
                end.offset
            } else {
                file.len()?
            };
            if start < length {
                *at = JournalPosition {
                    segment: number,
                    offset: start,
                };
                return Ok(Some(Segment { file, length }));
            }
        }
        Ok(None)
    }

    fn read_segment(
        &self,
        segment: &Segment,
        books: &Books,
        limit: usize,
        stop: u64,
        changes: &mut Changes,
        at: &mut JournalPosition,
    ) -> Result<(), ReadError> {
        let wanted = (limit - changes.news()) as u64 * USUAL_RECORD_BYTES;
        let mut length = wanted.clamp(SMALLEST_READ_BYTES, LARGEST_READ_BYTES);
        let stop = stop.min(segment.length);
        loop {
            let left = stop.saturating_sub(at.offset);
            let bytes = read_exactly(&*segment.file, at.offset, length.min(left))?;
            let mut read = 0;
            while changes.news() < limit {
                match next(&bytes[read..], self.journal.salt()) {
                    Next::Frame(frame) => {
                        let record = frame.record().ok_or(ReadError::Damaged { at: *at })?;
                        books.apply(changes, record);
                        read += frame.length;
                        at.offset += frame.length as u64;
                    }
                    // What was set aside and not used ends the segment.
                    Next::End if read < bytes.len() => {
                        at.offset = segment.length;
                        return Ok(());
                    }
                    Next::End => return Ok(()),
                    // Reading more may complete it.
                    Next::Partial if read == 0 && length < left => break,
                    Next::Partial if read > 0 => return Ok(()),
                    Next::Partial | Next::Damage => return Err(ReadError::Damaged { at: *at }),
                }
            }
            if read > 0 || changes.news() >= limit {
                return Ok(());
            }
            length *= 2;
        }
    }
}

struct Segment {
    file: std::sync::Arc<dyn crate::fs::SegmentFile>,
    length: u64,
}

impl Changes {
    /// Records that say something to a database.
    const fn news(&self) -> usize {
        self.records - self.watermarks
    }

    fn batch(
        &self,
        books: &Books,
        journal: uuid::Uuid,
        from: JournalPosition,
        to: JournalPosition,
    ) -> FoldBatch {
        let mut opened = Vec::new();
        let mut closed = Vec::new();
        for (request, hold) in &self.holds {
            match hold {
                Some(hold) => opened.push(hold.clone()),
                // What opened and ended in the same piece is nothing to the database.
                None if books.open.contains_key(request) => closed.push(*request),
                None => {}
            }
        }
        FoldBatch {
            journal,
            from,
            to,
            last_instant: self.last.unwrap_or(Timestamp::MIN),
            counters: self
                .counters
                .values()
                .filter(|counter| counter.amount != 0)
                .copied()
                .collect(),
            log: self.log.clone(),
            resolved: self.resolved.clone(),
            corrections: self.corrections.clone(),
            resets: self.resets.clone(),
            opened,
            closed,
            in_doubt: self.in_doubt.values().cloned().collect(),
        }
    }
}

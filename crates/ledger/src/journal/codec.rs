//! Fixed-width little-endian fields.

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::{CounterAmount, CounterKey};
use tollgate_domain::limits::{MeterKind, ResetDuration, Window, WindowKey};
use uuid::Uuid;

/// Bytes of one counter with its amount.
pub(crate) const COUNTER_BYTES: usize = 50;

/// A payload that ends early, or holds a value that no version of the format writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Writes fields.
#[derive(Debug)]
pub(crate) struct Encoder<'a>(pub(crate) &'a mut Vec<u8>);

impl Encoder<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(crate) fn instant(&mut self, value: Timestamp) {
        self.i64(value.as_micros());
    }

    /// A text of at most `limit` bytes; what is longer is cut at a character.
    pub(crate) fn text(&mut self, value: &str, limit: u16) {
        let mut end = value.len().min(usize::from(limit));
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        // `end` is at most `limit`.
        self.u16(u16::try_from(end).unwrap_or(limit));
        self.0.extend_from_slice(&value.as_bytes()[..end]);
    }

    fn window(&mut self, window: Window) {
        self.i64(window.key.0);
        self.instant(window.start);
        self.instant(window.end);
    }

    pub(crate) fn window_only(&mut self, window: Window) {
        self.window(window);
    }

    pub(crate) fn counter(&mut self, counter: &CounterAmount) {
        let key = &counter.key;
        let mut fields = [0; COUNTER_BYTES];
        // Every request writes some of these twice, so they are put together before they are appended.
        let mut rest = fields.as_mut_slice();
        for field in [
            key.line.as_bytes().as_slice(),
            &[key.kind.code(), key.duration.code()],
            &key.window.0.to_le_bytes(),
            &counter.start.as_micros().to_le_bytes(),
            &counter.end.as_micros().to_le_bytes(),
            &counter.amount.to_le_bytes(),
        ] {
            let (head, tail) = rest.split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        }
        self.0.extend_from_slice(&fields);
    }

    pub(crate) fn counters(&mut self, counters: &[CounterAmount]) {
        self.u16(u16::try_from(counters.len()).unwrap_or(u16::MAX));
        for counter in counters.iter().take(usize::from(u16::MAX)) {
            self.counter(counter);
        }
    }
}

/// Reads fields.
#[derive(Debug)]
pub(crate) struct Decoder<'a>(pub(crate) &'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.take()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.take()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, Malformed> {
        Ok(Uuid::from_bytes(self.take()?))
    }

    pub(crate) fn instant(&mut self) -> Result<Timestamp, Malformed> {
        Ok(Timestamp::from_micros(self.i64()?))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.u16()?);
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        std::str::from_utf8(head).map_err(|_| Malformed)
    }

    pub(crate) fn window(&mut self) -> Result<Window, Malformed> {
        Ok(Window {
            key: WindowKey(self.i64()?),
            start: self.instant()?,
            end: self.instant()?,
        })
    }

    pub(crate) fn counter(&mut self) -> Result<CounterAmount, Malformed> {
        let line = self.uuid()?;
        let kind = MeterKind::from_code(self.u8()?).ok_or(Malformed)?;
        let duration = ResetDuration::from_code(self.u8()?).ok_or(Malformed)?;
        let window = self.window()?;
        Ok(CounterAmount {
            key: CounterKey {
                line,
                kind,
                duration,
                window: window.key,
            },
            start: window.start,
            end: window.end,
            amount: self.i64()?,
        })
    }

    pub(crate) fn counters(&mut self) -> Result<Vec<CounterAmount>, Malformed> {
        let count = self.u16()?;
        (0..count).map(|_| self.counter()).collect()
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

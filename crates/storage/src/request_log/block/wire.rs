//! The fields of a block: numbers of as many bytes as they need (LEB128), and texts with their length before them.

use uuid::Uuid;

use crate::error::Result;
use crate::sql::corrupt;

/// Where the bytes come from, for errors.
pub(super) const COLUMN: &str = "content";

/// Writes fields.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// Small numbers take few bytes, whatever their sign.
    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }

    pub(super) fn count(&mut self, value: usize) {
        self.unsigned(value as u64);
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn text(&mut self, value: &str) {
        self.count(value.len());
        self.0.extend_from_slice(value.as_bytes());
    }
}

/// Reads fields.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| corrupt(COLUMN, "it ends early"))?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn unsigned(&mut self) -> Result<u64> {
        let mut value = 0;
        for (place, byte) in self.0.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * place);
            if shifted >> (7 * place) != bits {
                break;
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return Ok(value);
            }
        }
        Err(corrupt(COLUMN, "a number has no end, or is too large"))
    }

    /// Goes past numbers without looking at them.
    pub(super) fn skip_numbers(&mut self, amount: usize) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        let mut ends = (1..).zip(self.0).filter(|(_, byte)| **byte & 0x80 == 0);
        let Some((length, _)) = ends.nth(amount - 1) else {
            return Err(corrupt(COLUMN, "a number has no end"));
        };
        self.take(length).map(drop)
    }

    pub(super) fn signed(&mut self) -> Result<i64> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that must fit into a smaller type.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T> {
        T::try_from(self.unsigned()?).map_err(|_| corrupt(COLUMN, "a number is too large"))
    }

    /// How many things follow. Each takes a byte at least, so a damaged count cannot ask for more memory than there is.
    pub(super) fn count(&mut self) -> Result<usize> {
        let count: usize = self.small()?;
        if count > self.0.len() {
            return Err(corrupt(COLUMN, "it counts more than it has"));
        }
        Ok(count)
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid> {
        Uuid::from_slice(self.take(16)?).map_err(|error| corrupt(COLUMN, error))
    }

    pub(super) fn text(&mut self) -> Result<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|error| corrupt(COLUMN, error))
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(corrupt(COLUMN, "something follows its end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        let numbers = [0, 1, 63, 64, 127, 128, 16_383, 16_384, i64::MAX];
        let mut writer = Writer::default();
        for number in numbers {
            writer.unsigned(number.cast_unsigned());
            writer.signed(number);
            writer.signed(-number);
            writer.signed(!number);
        }
        writer.unsigned(u64::MAX);
        let mut reader = Reader(&writer.0);
        for number in numbers {
            assert_eq!(reader.unsigned().unwrap(), number.cast_unsigned());
            assert_eq!(reader.signed().unwrap(), number);
            assert_eq!(reader.signed().unwrap(), -number);
            assert_eq!(reader.signed().unwrap(), !number);
        }
        assert_eq!(reader.unsigned().unwrap(), u64::MAX);
        reader.end().unwrap();
        let mut skipper = Reader(&writer.0);
        for _ in numbers {
            skipper.skip_numbers(0).unwrap();
            skipper.skip_numbers(3).unwrap();
            skipper.skip_numbers(1).unwrap();
        }
        assert_eq!(skipper.unsigned().unwrap(), u64::MAX);
        assert!(skipper.skip_numbers(1).is_err());
    }

    #[test]
    fn damage_is_an_error_and_takes_no_memory() {
        assert!(Reader(&[]).unsigned().is_err());
        assert!(Reader(&[0x80]).unsigned().is_err());
        assert!(Reader(&[0xff; 11]).unsigned().is_err());
        assert!(
            Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02])
                .unsigned()
                .is_err()
        );
        assert!(Reader(&[0xff, 0xff, 0x03, 1]).count().is_err());
        assert!(Reader(&[2, 0xff, 0xff]).text().is_err());
        assert!(Reader(&[1]).end().is_err());
    }
}

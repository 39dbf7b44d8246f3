//! Pieces of a stream that are ready at the same time, joined into one write.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// Above this, more pieces wait for the next write; copying them would cost more than it saves.
const ENOUGH_BYTES: usize = 64 << 10;

/// Gathers what is ready. A single piece passes uncopied; the buffer for several is used again once the write is over.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    pieces: SmallVec<[Bytes; 8]>,
    length: usize,
    buffer: BytesMut,
    /// The byte that was handed out last.
    last: Option<u8>,
}

impl Joiner {
    /// Adds a piece at the end.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push(piece);
        }
    }

    /// Whether there is so much that it should be written first.
    pub(crate) const fn is_full(&self) -> bool {
        self.length >= ENOUGH_BYTES
    }

    /// Whether there is nothing to write.
    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether a new event may follow what was pushed so far, or a line has to be ended first.
    pub(crate) fn is_at_line_start(&self) -> bool {
        let last = self.pieces.last().and_then(|piece| piece.last().copied());
        last.or(self.last)
            .is_none_or(|byte| matches!(byte, b'\n' | b'\r'))
    }

    /// Everything, as one piece.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let joined = match self.pieces.len() {
            0 => return None,
            1 => self.pieces.pop()?,
            _ => {
                self.buffer.reserve(self.length);
                for piece in self.pieces.drain(..) {
                    self.buffer.extend_from_slice(&piece);
                }
                self.buffer.split().freeze()
            }
        };
        self.length = 0;
        self.last = joined.last().copied();
        Some(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_piece_is_not_copied_and_several_are_one() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(), None);
        let piece = Bytes::from_static(b"data: 1\n\n");
        joiner.push(Bytes::new());
        joiner.push(piece.clone());
        assert_eq!(joiner.take().unwrap().as_ptr(), piece.as_ptr());
        joiner.push(piece.clone());
        joiner.push(Bytes::from_static(b"data"));
        assert!(!joiner.is_at_line_start());
        assert_eq!(joiner.take().unwrap(), "data: 1\n\ndata");
        assert!(!joiner.is_at_line_start());
        joiner.push(Bytes::from_static(b"\n"));
        assert!(joiner.is_at_line_start());
    }

    #[test]
    fn the_buffer_is_used_again() {
        let mut joiner = Joiner::default();
        let mut join = || {
            joiner.push(Bytes::from_static(&[b'a'; 64]));
            joiner.push(Bytes::from_static(&[b'b'; 64]));
            joiner.take().unwrap().as_ptr()
        };
        let first = join();
        assert_eq!(join(), first);
    }
}

//! Where events end.

use memchr::memchr2;

/// Finds the blank lines that end events, over chunks that may be cut anywhere. Lines end with LF, CRLF or CR, also
/// mixed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boundary {
    /// Nothing of the current line has been seen.
    is_line_empty: bool,
    /// The last chunk ended with the CR of a line that is not blank: an LF now belongs to it.
    is_after_cr: bool,
}

impl Boundary {
    /// At the start of a stream, or just after an event.
    pub(super) const START: Self = Self {
        is_line_empty: true,
        is_after_cr: false,
    };

    /// The length of the first event that ends in `bytes`, which follow what was given before.
    ///
    /// That is up to and with the blank line. Where that one ends with a CR, an LF behind it belongs to it too and is left
    /// out, since nobody knows whether it comes: the caller has to take it away before the next search.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.is_after_cr && !bytes.is_empty() {
            self.is_after_cr = false;
            at = usize::from(bytes[0] == b'\n');
        }
        loop {
            let Some(offset) = memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.is_line_empty &= at == bytes.len();
                return None;
            };
            let is_blank = self.is_line_empty && offset == 0;
            let is_cr = bytes[at + offset] == b'\r';
            at += offset + 1;
            if is_blank {
                *self = Self::START;
                return Some(at);
            }
            self.is_line_empty = true;
            self.is_after_cr = is_cr && at == bytes.len();
            if is_cr && bytes.get(at) == Some(&b'\n') {
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where events end when the stream comes in these chunks.
    fn ends(chunks: &[&str]) -> Vec<usize> {
        let mut boundary = Boundary::START;
        let (mut start, mut found) = (0, Vec::new());
        let mut is_after_cr = false;
        for chunk in chunks {
            let bytes = chunk.as_bytes();
            let mut at = 0;
            loop {
                if is_after_cr && at < bytes.len() {
                    is_after_cr = false;
                    at += usize::from(bytes[at] == b'\n');
                }
                let Some(len) = boundary.find(&bytes[at..]) else {
                    break;
                };
                at += len;
                is_after_cr = bytes[at - 1] == b'\r';
                found.push(start + at);
            }
            start += chunk.len();
        }
        found
    }

    #[test]
    fn every_line_ending_ends_an_event() {
        assert_eq!(ends(&["a\n\nb\n\n"]), [3, 6]);
        assert_eq!(ends(&["a\r\n\r\nb\r\n\r\n"]), [4, 9]);
        assert_eq!(ends(&["a\r\rb\r\r"]), [3, 6]);
        assert_eq!(ends(&["a\n\r\nb\r\n\n"]), [3, 8]);
        assert_eq!(ends(&["a\nb\n"]), [0_usize; 0]);
        assert_eq!(ends(&["a: 1\r\nb: 2\r\n\r\n"]), [13]);
    }

    #[test]
    fn cuts_between_cr_and_lf_are_no_blank_line() {
        assert_eq!(ends(&["a\r", "\nb\r", "\n\r", "\n", "\r"]), [7, 9]);
        assert_eq!(ends(&["a\r", "\r"]), [3]);
        assert_eq!(ends(&["a\r", "", "\n", "\n"]), [4]);
        assert_eq!(ends(&["a", "\n", "\n"]), [3]);
    }
}

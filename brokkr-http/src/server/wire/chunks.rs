//! The framing of a chunked body (RFC 9112, section 7.1).

/// Limit of a line between chunks, and of all trailer fields.
const LINE: usize = 256;
const TRAILERS: usize = 8 * 1024;

/// Follows a chunked body to its end. Strict: no white space around sizes, and every line ends with CR and LF.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// Bytes of the current line or of the trailers.
    seen: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A size with this many digits.
    #[default]
    Start,
    Size(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataEnd,
    DataLineEnd,
    /// The start of a trailer line.
    Trailer,
    TrailerField,
    TrailerEnd,
    LastEnd,
    Done,
}

/// The body is not valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid;

impl Chunks {
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes the bytes that belong to the body, and returns their number.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Invalid> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let State::Data(left) = self.state {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += taken;
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                continue;
            }
            if self.state == State::Done {
                break;
            }
            self.state = self.next(byte)?;
            at += 1;
        }
        Ok(at)
    }

    fn next(&mut self, byte: u8) -> Result<State, Invalid> {
        self.seen += 1;
        let is_trailer = matches!(self.state, State::Trailer | State::TrailerField | State::TrailerEnd);
        if self.seen > if is_trailer { TRAILERS } else { LINE } {
            return Err(Invalid);
        }
        let digit = || char::from(byte).to_digit(16).map(u64::from).ok_or(Invalid);
        let is_text = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        Ok(match (self.state, byte) {
            (State::Start, _) => State::Size(digit()?),
            (State::Size(size), b'\r') | (State::Extension(size), b'\r') => State::SizeEnd(size),
            (State::Size(size), b';') => State::Extension(size),
            (State::Size(size), _) => {
                let size = size.checked_mul(16).and_then(|size| Some(size | digit().ok()?)).ok_or(Invalid)?;
                State::Size(size)
            }
            (State::Extension(size), _) if is_text => State::Extension(size),
            (State::SizeEnd(size), b'\n') => {
                self.seen = 0;
                if size == 0 { State::Trailer } else { State::Data(size) }
            }
            (State::DataEnd, b'\r') => State::DataLineEnd,
            (State::DataLineEnd, b'\n') => {
                self.seen = 0;
                State::Start
            }
            (State::Trailer, b'\r') => State::LastEnd,
            (State::LastEnd, b'\n') => State::Done,
            (State::TrailerField, b'\r') => State::TrailerEnd,
            (State::TrailerEnd, b'\n') => State::Trailer,
            (State::Trailer, b' ' | b'\t') => return Err(Invalid),
            (State::Trailer | State::TrailerField, _) if is_text => State::TrailerField,
            _ => return Err(Invalid),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_the_body_is_found() {
        for (body, length) in [
            ("0\r\n\r\n", 5),
            ("5\r\nhello\r\n0\r\n\r\nGET", 15),
            ("5;a=b\r\nhello\r\n00\r\n\r\n", 20),
            ("a\r\n0123456789\r\n0\r\nx: y\r\n\r\n", 26),
            ("1\r\n\n\r\n0\r\n\r\n", 11),
        ] {
            let mut whole = Chunks::default();
            assert_eq!((whole.take(body.as_bytes()), whole.is_done()), (Ok(length), true), "{body:?}");
            let mut single = Chunks::default();
            let taken: usize = body.bytes().map(|byte| single.take(&[byte]).expect("valid")).sum();
            assert_eq!((taken, single.is_done()), (length, true), "{body:?}, byte by byte");
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for body in [
            "\r\n",
            "x\r\n",
            "+5\r\n",
            " 5\r\n",
            "5 \r\n",
            "0x5\r\n",
            "5\nhello",
            "5\r\nhello!",
            "5\r\nhello\n",
            "5\r\nhello\r5",
            "0\r\nx: y\n",
            "0\r\n x\r\n",
            "0\n\n",
            "5;a\nhello",
            "ffffffffffffffffff\r\n",
            "-1\r\n",
        ] {
            assert_eq!(Chunks::default().take(body.as_bytes()), Err(Invalid), "{body:?}");
        }
        let line = |length: usize| format!("1;{}\r\n", "x".repeat(length));
        assert!(Chunks::default().take(line(LINE - 4).as_bytes()).is_ok());
        assert_eq!(Chunks::default().take(line(LINE).as_bytes()), Err(Invalid));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(TRAILERS / 6 + 1));
        assert_eq!(Chunks::default().take(trailers.as_bytes()), Err(Invalid));
    }
}

//! The head of a request: the request line and the header fields.

use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{Method, Uri};
use brokkr_core::model::limits;

/// Why a message is refused before it becomes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The message is not valid, or has no single meaning. Says what is wrong.
    Malformed(&'static str),
    /// The head is too large, or has too many fields.
    HeadTooLarge,
    /// The request target is too long.
    UriTooLong,
    /// The body has a transfer coding besides chunked.
    TransferCoding,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Following {
    /// A body of this length; 0 without a body.
    Length(u64),
    /// A chunked body.
    Chunks,
}

/// The position after the head that begins at the start of `bytes`; `None` if it is incomplete. `from` is the position up to
/// which an earlier call has seen the bytes.
pub(super) fn end(bytes: &[u8], from: usize) -> Result<Option<usize>, Refusal> {
    // One empty line may precede a request (RFC 9112, section 2.2).
    let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let mut at = from.saturating_sub(3).max(start);
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
        let line_end = at + found;
        let before = bytes.get(start..line_end).unwrap_or_default();
        if !before.ends_with(b"\r") {
            return Err(Refusal::Malformed("end each line of the head with CR and LF"));
        }
        if before.ends_with(b"\n\r") || before == b"\r" {
            let end = line_end + 1;
            return if end > limits::REQUEST_HEAD_BYTES { Err(Refusal::HeadTooLarge) } else { Ok(Some(end)) };
        }
        at = line_end + 1;
    }
    if bytes.len() > limits::REQUEST_HEAD_BYTES {
        let is_first_line = !bytes.get(start..).unwrap_or_default().contains(&b'\n');
        return Err(if is_first_line { Refusal::UriTooLong } else { Refusal::HeadTooLarge });
    }
    Ok(None)
}

/// Checks a complete head, and returns what follows it.
pub(super) fn check(head: &[u8]) -> Result<Following, Refusal> {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_http_11 = request_line(lines.next().unwrap_or_default())?;
    let mut fields = Fields::default();
    for (count, line) in lines.take_while(|line| !line.is_empty()).enumerate() {
        if count == limits::REQUEST_HEADERS {
            return Err(Refusal::HeadTooLarge);
        }
        fields.add(line)?;
    }
    fields.following(is_http_11)
}

/// Checks the request line. Returns whether the version is 1.1.
fn request_line(line: &[u8]) -> Result<bool, Refusal> {
    const FORM: Refusal = Refusal::Malformed("begin with METHOD SP target SP HTTP/1.1, with single spaces");
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(if line.len() > limits::REQUEST_URI_BYTES { Refusal::UriTooLong } else { FORM });
    };
    let method = Method::from_bytes(method).map_err(|_| FORM)?;
    if target.len() > limits::REQUEST_URI_BYTES {
        return Err(Refusal::UriTooLong);
    }
    let is_target = match target.first() {
        Some(b'/') => PathAndQuery::try_from(target).is_ok(),
        Some(_) if method == Method::CONNECT => Authority::try_from(target).is_ok(),
        Some(b'*') => method == Method::OPTIONS && target.len() == 1,
        _ => Uri::try_from(target).is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some()),
    };
    // `Uri` drops a fragment silently.
    if !is_target || target.contains(&b'#') {
        return Err(Refusal::Malformed("the request target is not a valid URI path"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err(Refusal::Malformed("the version must be HTTP/1.1 or HTTP/1.0")),
    }
}

/// What the fields say about the message's framing.
#[derive(Default)]
struct Fields<'a> {
    hosts: usize,
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn add(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        if line.len() > limits::REQUEST_HEADER_BYTES {
            return Err(Refusal::HeadTooLarge);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?))) else {
            return Err(Refusal::Malformed("each header field needs a name and a colon"));
        };
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(Refusal::Malformed(
                "a header field's name contains a character that is not allowed, such as a space",
            ));
        }
        if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
            return Err(Refusal::Malformed("a header field's value contains a control character"));
        }
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            if !value.is_empty() && Authority::try_from(value).map_or(true, |it| it.as_str().contains('@')) {
                return Err(Refusal::Malformed("the Host field is not a host with an optional port"));
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.replace(value).is_some() {
                return Err(Refusal::Malformed("send one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && self.coding.replace(value).is_some() {
            return Err(Refusal::Malformed("send one Transfer-Encoding"));
        }
        Ok(())
    }

    fn following(&self, is_http_11: bool) -> Result<Following, Refusal> {
        if self.hosts > 1 || is_http_11 && self.hosts == 0 {
            return Err(Refusal::Malformed("send one Host field"));
        }
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err(Refusal::Malformed("send Content-Length or Transfer-Encoding, not both")),
            (Some(_), None) if !is_http_11 => Err(Refusal::Malformed("HTTP/1.0 has no Transfer-Encoding")),
            (Some(coding), None) => {
                if coding.eq_ignore_ascii_case(b"chunked") {
                    return Ok(Following::Chunks);
                }
                let last = coding.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
                let chunked =
                    coding.split(|byte| *byte == b',').filter(|it| it.trim_ascii().eq_ignore_ascii_case(b"chunked"));
                if last.eq_ignore_ascii_case(b"chunked") && chunked.count() == 1 {
                    // The end of the body is known, but not its content (RFC 9112, section 6.1).
                    return Err(Refusal::TransferCoding);
                }
                Err(Refusal::Malformed("the last transfer coding must be chunked"))
            }
            (None, Some(length)) => {
                let digits = std::str::from_utf8(length).ok().filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
                let length = digits.and_then(|digits| digits.parse().ok()).filter(|length| *length <= i64::MAX as u64);
                length.map(Following::Length).ok_or(Refusal::Malformed("Content-Length must be a decimal number"))
            }
            (None, None) => Ok(Following::Length(0)),
        }
    }
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a head as the gate does.
    fn checked(head: &str) -> Result<Following, Refusal> {
        let bytes = head.as_bytes();
        for upto in 0..bytes.len() {
            assert!(!matches!(end(&bytes[..upto], 0), Ok(Some(_))), "{head:?} is complete after {upto}");
        }
        match end(bytes, 0)? {
            Some(end) => check(&bytes[..end]),
            None => panic!("{head:?} is incomplete"),
        }
    }

    fn is_malformed(result: Result<Following, Refusal>) -> bool {
        matches!(result, Err(Refusal::Malformed(_)))
    }

    #[test]
    fn valid_head_says_what_follows() {
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Following::Length(0)),
            ("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", Following::Length(0)),
            ("GET /a?b=c%20d HTTP/1.1\r\nhost: [::1]:80\r\nx:\r\n\r\n", Following::Length(0)),
            ("GET http://x/a HTTP/1.1\r\nhost: x\r\n\r\n", Following::Length(0)),
            ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", Following::Length(0)),
            ("CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n", Following::Length(0)),
            ("GET / HTTP/1.0\r\n\r\n", Following::Length(0)),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Following::Length(0)),
            ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length:  12 \r\n\r\n", Following::Length(12)),
            ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n", Following::Chunks),
            ("BREW / HTTP/1.1\r\nhost: x\r\na: \t\u{e4}\r\n\r\n", Following::Length(0)),
        ] {
            assert_eq!(checked(head), Ok(expected), "{head:?}");
        }
    }

    #[test]
    fn head_with_several_meanings_is_refused() {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n");
        for head in [
            "GET / HTTP/1.1\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: user@x\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: x\r\n\r\n",
            "GET / http/1.1\r\nHost: x\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            let bytes = head.as_bytes();
            let result = end(bytes, 0).and_then(|end| check(&bytes[..end.unwrap_or(bytes.len())]));
            assert!(is_malformed(result), "{head:?}: {result:?}");
        }
        for fields in [
            "content-length: 1\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 1",
            "content-length: 1\r\ncontent-length: 1",
            "content-length: 1, 1",
            "content-length: +1",
            "content-length: -1",
            "content-length: 0x1",
            "content-length: 1 1",
            "content-length:",
            "content-length: 99999999999999999999",
            "transfer-encoding: gzip",
            "transfer-encoding: identity",
            "transfer-encoding: chunked, gzip",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding:",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "content-length : 1",
            " folded: x",
            "a: b\r\n folded",
            "no-colon",
            ": x",
            "a\u{e4}: x",
            "a: \u{0}",
            "a: b\rc",
            "a: \u{7f}",
        ] {
            let result = checked(&with(fields));
            assert!(is_malformed(result), "{fields:?}: {result:?}");
        }
        let gzip = checked(&with("transfer-encoding: gzip, chunked"));
        assert_eq!(gzip, Err(Refusal::TransferCoding));
    }

    #[test]
    fn head_is_limited() {
        let of = |target: usize, field: usize, fields: usize| {
            let target = format!("/{}", "a".repeat(target - 1));
            let field = format!("f: {}\r\n", "x".repeat(field - 3));
            let others = "a: b\r\n".repeat(fields - 2);
            format!("GET {target} HTTP/1.1\r\nhost: x\r\n{field}{others}\r\n")
        };
        let result =
            |head: String| end(head.as_bytes(), 0).map(|end| check(&head.as_bytes()[..end.unwrap_or_default()]));
        let (uri, field, fields) = (limits::REQUEST_URI_BYTES, limits::REQUEST_HEADER_BYTES, limits::REQUEST_HEADERS);
        assert_eq!(result(of(uri, 10, 2)), Ok(Ok(Following::Length(0))));
        assert_eq!(result(of(uri + 1, 10, 2)), Ok(Err(Refusal::UriTooLong)));
        assert_eq!(result(of(2, field, 2)), Ok(Ok(Following::Length(0))));
        assert_eq!(result(of(2, field + 1, 2)), Ok(Err(Refusal::HeadTooLarge)));
        assert_eq!(result(of(2, 10, fields)), Ok(Ok(Following::Length(0))));
        assert_eq!(result(of(2, 10, fields + 1)), Ok(Err(Refusal::HeadTooLarge)));
        let sized = |bytes: usize| {
            let line = format!("a: {}\r\n", "x".repeat(995));
            let mut head = format!("GET / HTTP/1.1\r\nhost: x\r\n{}", line.repeat(60));
            let rest = bytes - head.len() - 7;
            head += &format!("b: {}\r\n\r\n", "x".repeat(rest));
            assert_eq!(head.len(), bytes);
            head
        };
        let most = limits::REQUEST_HEAD_BYTES;
        assert_eq!(result(sized(most)), Ok(Ok(Following::Length(0))));
        assert_eq!(result(sized(most + 1)), Err(Refusal::HeadTooLarge));
        let unfinished = sized(most + 1);
        assert_eq!(end(&unfinished.as_bytes()[..most], 0), Ok(None));
        let endless = "x".repeat(most + 1);
        assert_eq!(end(endless.as_bytes(), 0), Err(Refusal::UriTooLong));
        assert_eq!(end(format!("GET / HTTP/1.1\r\n{endless}").as_bytes(), 0), Err(Refusal::HeadTooLarge));
    }
}

//! As much of HTTP/1.1 as the patient needs: bytes in, a request out; an answer in, bytes out.

/// More than this before the end of the headers is no request.
pub(crate) const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A request without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The path and query.
    pub(crate) target: String,
    /// Whether the client wants to send another one after it.
    pub(crate) keep_alive: bool,
}

/// What a connection has sent so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Not the end of a head yet.
    Incomplete,
    /// A request, and how many bytes it took.
    Request(Request, usize),
    /// Nothing that the patient understands.
    Malformed,
}

/// Reads the first request in `received`.
pub(crate) fn parse(received: &[u8]) -> Parsed {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if received.len() > HEAD_BYTES_MAX { Parsed::Malformed } else { Parsed::Incomplete };
    };
    let Ok(head) = std::str::from_utf8(&received[..end]) else { return Parsed::Malformed };
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some("GET"), Some(target), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Parsed::Malformed;
    };
    let closes = lines.any(|line| line.eq_ignore_ascii_case("connection: close"));
    Parsed::Request(Request { target: target.to_owned(), keep_alive: !closes }, end + 4)
}

/// For how many milliseconds `/slow?ms=N` wants to be served.
pub(crate) fn slow_milliseconds(target: &str) -> Option<u64> {
    target.strip_prefix("/slow?ms=").and_then(|number| number.parse().ok())
}

/// An answer.
pub(crate) fn answer(status: u16, body: &str, keep_alive: bool) -> Vec<u8> {
    let reason = if status == 200 { "OK" } else { "Not OK" };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let length = body.len();
    format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{body}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES_MAX, Parsed, Request, parse, slow_milliseconds};

    fn check(text: &str, expected: &Parsed) {
        assert_eq!(&parse(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn a_head_is_awaited_then_read() {
        let request = |keep_alive| Request { target: "/up".to_owned(), keep_alive };
        check("", &Parsed::Incomplete);
        check("GET /up HTTP/1.1\r\nHost: x\r\n", &Parsed::Incomplete);
        check("GET /up HTTP/1.1\r\nHost: x\r\n\r\n", &Parsed::Request(request(true), 29));
        check("GET /up HTTP/1.1\r\nCONNECTION: close\r\n\r\nGET", &Parsed::Request(request(false), 39));
    }

    #[test]
    fn anything_else_is_malformed() {
        check("POST /up HTTP/1.1\r\n\r\n", &Parsed::Malformed);
        check("\r\n\r\n", &Parsed::Malformed);
        check(&"x".repeat(HEAD_BYTES_MAX + 1), &Parsed::Malformed);
    }

    #[test]
    fn slow_requests_say_how_slow() {
        assert_eq!(slow_milliseconds("/slow?ms=250"), Some(250));
        assert_eq!(slow_milliseconds("/slow?ms=x"), None);
        assert_eq!(slow_milliseconds("/"), None);
    }
}

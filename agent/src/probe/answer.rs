//! An answer over HTTP/1, as far as it has come: is it the wanted one?
//!
//! **Invariant:** this module reads no connection, and its answer about a whole text is never none.

use httparse::{EMPTY_HEADER, Response, Status};

use crate::config::Wanted;

/// More of an answer is not looked at.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// More than any status line.
const STATUS_LINE_BYTES_MAX: usize = 512;
const HEADERS_MAX: usize = 64;
/// How much of a strange value is shown.
const SHOWN_MAX: usize = 80;

/// Whether an answer is the wanted one, and what to say of it; none while more of it is needed. `is_all` says that no more will be read.
pub(super) fn weigh(bytes: &[u8], is_all: bool, wanted: &Wanted) -> Option<(bool, String)> {
    let end = bytes.iter().take(STATUS_LINE_BYTES_MAX).position(|byte| *byte == b'\n');
    if end.is_none() && !is_all && bytes.len() < STATUS_LINE_BYTES_MAX {
        return None;
    }
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let (is_right, told) = status(String::from_utf8_lossy(line).trim_end(), wanted);
    if !is_right || wanted.header.is_none() && wanted.body.is_none() {
        return Some((is_right, told));
    }
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(Status::Complete(length)) => weigh_rest(&response, &bytes[length..], is_all, wanted, &told),
        Ok(Status::Partial) if is_all => Some((false, format!("{told}, and headers that do not end"))),
        Ok(Status::Partial) => None,
        Err(error) => Some((false, format!("{told}, and headers that are malformed ({error})"))),
    }
}

/// Whether a status line is the wanted one, and what to say of it.
fn status(line: &str, wanted: &Wanted) -> (bool, String) {
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    match words.next().and_then(|word| word.parse::<u16>().ok()) {
        Some(status @ 100..600) if is_http => (wanted.statuses.iter().any(|range| range.contains(&status)), status.to_string()),
        Some(_) | None => (false, "something that is not HTTP".to_owned()),
    }
}

fn weigh_rest(response: &Response<'_, '_>, body: &[u8], is_all: bool, wanted: &Wanted, told: &str) -> Option<(bool, String)> {
    let values = |name: &str| {
        let named = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii()).collect::<Vec<_>>()
    };
    if let Some((name, value)) = &wanted.header {
        let found = values(name);
        if !found.contains(&value.as_bytes()) {
            let instead = found.first().map_or("no such header".to_owned(), |value| format!("{:?}", shown(value)));
            return Some((false, format!("{told} with {instead} where {name}: {value:?} is wanted")));
        }
    }
    let Some(text) = &wanted.body else { return Some((true, told.to_owned())) };
    let is_chunked = values("Transfer-Encoding").last().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    let length = values("Content-Length").first().and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let (content, is_whole) = match (is_chunked, length) {
        (true, _) => unchunked(body),
        (false, Some(length)) if body.len() >= length => (body[..length].to_vec(), true),
        (false, _) => (body.to_vec(), false),
    };
    let is_there = content.windows(text.len()).any(|part| part == text.as_bytes());
    match (is_there, is_whole || is_all) {
        (true, _) => Some((true, told.to_owned())),
        (false, true) => Some((false, format!("{told} without {text:?} in its body, which begins {:?}", shown(&content)))),
        (false, false) => None,
    }
}

/// What the chunks hold that have come, and whether the last of them has.
fn unchunked(mut body: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    while let Ok(Status::Complete((at, size))) = httparse::parse_chunk_size(body) {
        let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else { return (content, true) };
        let chunk = &body[at..];
        content.extend(&chunk[..size.min(chunk.len())]);
        // After a chunk comes the end of a line.
        let Some(rest) = size.checked_add(2).and_then(|next| chunk.get(next..)) else { break };
        body = rest;
    }
    (content, false)
}

/// The beginning of what somebody sent.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::weigh;
    use crate::config::Wanted;

    fn only(body: Option<&str>, header: Option<(&str, &str)>) -> Wanted {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Wanted { body: body.map(str::to_owned), header: header.map(owned), ..Wanted::default() }
    }

    #[track_caller]
    fn check(text: &str, wanted: &Wanted, expected: (bool, &str)) {
        let expected = Some((expected.0, expected.1.to_owned()));
        assert_eq!(weigh(text.as_bytes(), true, wanted), expected, "{text:?}");
        // However it comes, the same is said, and never something else before.
        let first = (1..=text.len()).find_map(|length| weigh(&text.as_bytes()[..length], length == text.len(), wanted));
        assert_eq!(first.map(|(is_right, _)| is_right), expected.map(|(is_right, _)| is_right), "{text:?}");
    }

    #[test]
    fn only_a_wanted_status_is_ready() {
        for (line, ready) in [
            ("HTTP/1.1 200 OK", true),
            ("HTTP/1.0 204", true),
            ("HTTP/1.1 302 Found", false),
            ("HTTP/1.1 503 Service Unavailable", false),
            ("SSH-2.0-OpenSSH 200", false),
            ("HTTP/1.1 2000 OK", false),
            ("\n", false),
        ] {
            let weighed = weigh(line.as_bytes(), true, &Wanted::default());
            assert_eq!(weighed.map(|(is_right, _)| is_right), Some(ready), "{line}");
        }
        let wanted = Wanted { statuses: vec![204..=204, 301..=302], ..Wanted::default() };
        for (status, ready) in [(200, false), (204, true), (205, false), (301, true), (302, true), (303, false)] {
            check(&format!("HTTP/1.1 {status} X\r\n"), &wanted, (ready, &status.to_string()));
        }
    }

    #[test]
    fn a_line_that_never_ends_is_no_answer() {
        assert_eq!(weigh(&[b'a'; 511], false, &Wanted::default()), None);
        assert_eq!(weigh(&[b'a'; 512], false, &Wanted::default()), Some((false, "something that is not HTTP".to_owned())));
    }

    #[test]
    fn the_body_must_contain_the_text() {
        let wanted = only(Some("v2 ok"), None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nis v2 ok\n", &wanted, (true, "200"));
        check("HTTP/1.1 200 OK\r\n\r\nis v2 ok\n", &wanted, (true, "200"));
        let other = "200 without \"v2 ok\" in its body, which begins \"v1 ok\"";
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nv1 ok", &wanted, (false, other));
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nv1 okv2 ok", &wanted, (false, other));
        check("HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nv2 ok", &wanted, (false, "503"));
        check("HTTP/1.1 200 OK\r\nContent-Len", &wanted, (false, "200, and headers that do not end"));
    }

    #[test]
    fn a_text_may_be_in_two_chunks() {
        let wanted = only(Some("v2 ok"), None);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{head}2\r\nv2\r\n3;x=y\r\n ok\r\n0\r\n\r\n"), &wanted, (true, "200"));
        let other = "200 without \"v2 ok\" in its body, which begins \"v1\"";
        check(&format!("{head}2\r\nv1\r\n0\r\n\r\n"), &wanted, (false, other));
        check(&format!("{head}2\r\nv1\r\nffffffffffffffff\r\n"), &wanted, (false, other));
    }

    #[test]
    fn the_answer_must_carry_the_header() {
        let wanted = only(None, Some(("X-Release", "v2")));
        check("HTTP/1.1 200 OK\r\nx-release:  v2 \r\n\r\n", &wanted, (true, "200"));
        check("HTTP/1.1 200 OK\r\nX-Release: v1\r\nX-Release: v2\r\n\r\n", &wanted, (true, "200"));
        let other = "200 with \"v1\" where X-Release: \"v2\" is wanted";
        check("HTTP/1.1 200 OK\r\nX-Release: v1\r\n\r\n", &wanted, (false, other));
        check(
            "HTTP/1.1 200 OK\r\nX-Other: v2\r\n\r\n",
            &wanted,
            (false, "200 with no such header where X-Release: \"v2\" is wanted"),
        );
        check(
            "HTTP/1.1 200 OK\r\nX Release\r\n\r\n",
            &wanted,
            (false, "200, and headers that are malformed (invalid header name)"),
        );
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_and_a_whole_one_is_always_weighed(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            begins in prop_oneof![
                Just(""), Just("HTTP/1.1 200 OK\r\n\r\n"), Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                Just("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n"),
            ],
        ) {
            let text = [begins.as_bytes(), &bytes].concat();
            let wanted = only(Some("ok"), Some(("a", "b")));
            prop_assert!(weigh(&text, true, &wanted).is_some());
            let _ = weigh(&text, false, &only(Some("ok"), None));
        }
    }
}

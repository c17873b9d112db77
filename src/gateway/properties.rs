//! The law that ties the head that was judged to the one that Pingora reads: no second parser decides
//! about a credential. Generated tests and the fuzz target `adapter` share it.

use std::io::Cursor;

use bytes::BytesMut;
use futures_util::FutureExt;
use pingora::{http::RequestHeader, protocols::http::v1::server::HttpSession};

use crate::handshake::{
    Kind,
    head::Head,
    judge,
    properties::{FIELDS, Setting},
};

/// Any bytes as a request head: if they go on as a plain request, Pingora reads the same request of what
/// goes on.
///
/// Returns whether they do, so that a test can tell that it saw more than refusals.
///
/// # Panics
/// When the law does not hold.
pub fn pingora_reads_what_was_judged(bytes: &[u8], setting: &Setting) -> bool {
    let admitted = Head::parse(bytes, FIELDS).and_then(|head| judge(&head, &setting.rules, &setting.hop()));
    let Ok(admitted) = admitted else { return false };
    if admitted.kind != Kind::Plain {
        return false;
    }
    let goes = Head::parse(admitted.head.as_bytes(), 2 * FIELDS);
    assert!(goes.is_ok(), "what goes on is no head");
    let Ok(goes) = goes else { return false };

    let mut session = HttpSession::new(Box::new(Cursor::new(Vec::new())));
    session.set_pipelined_prefix(BytesMut::from(admitted.head.as_bytes()));
    let length = session.read_request().now_or_never().and_then(Result::ok).flatten();
    let whole = admitted.head.as_bytes().len();
    assert_eq!(length, Some(whole), "Pingora refuses what was let pass, or sees another end of it");
    is_the_same(session.req_header(), &goes, setting);
    true
}

/// The same request line, and for every name the same values.
fn is_the_same(read: &RequestHeader, goes: &Head<'_>, setting: &Setting) {
    assert_eq!(read.method.as_str(), goes.method, "the method");
    assert_eq!(read.raw_path(), goes.target, "the target");
    assert_eq!(read.version == http::Version::HTTP_11, goes.is_http_11, "the version");
    assert_eq!(read.headers.len(), goes.fields.len(), "the number of field lines");
    for field in &goes.fields {
        let read = read.headers.get_all(field.name).iter().map(http::HeaderValue::as_bytes);
        assert!(read.eq(goes.values(field.name)), "the values of a field");
    }
    let credentials = read.headers.get_all(&setting.rules.field).iter().count();
    assert!(credentials <= 1, "more than one credential field line");
}

#[cfg(test)]
mod tests {
    use super::{Setting, pingora_reads_what_was_judged};

    #[test]
    fn in_every_setting() {
        let heads: [&[u8]; 3] = [
            include_bytes!("../../tests/fuzz/seeds/adapter/plain"),
            include_bytes!("../../tests/fuzz/seeds/adapter/chunked"),
            include_bytes!("../../tests/fuzz/seeds/adapter/old"),
        ];
        for head in heads {
            let begin = head.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for number in 0..512 {
                assert!(
                    pingora_reads_what_was_judged(&head[begin..], &Setting::numbered(number)),
                    "{number}"
                );
            }
        }
    }
}

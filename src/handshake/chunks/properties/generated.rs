//! The law over generated bodies.

use proptest::{collection::vec, prelude::*, sample::select, test_runner::FileFailurePersistence};

use super::{followed, following_is_sound};

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let behind = select(&["", "", ";x=y", " ;x", "\t", ";\""][..]);
    let size = |length: usize, is_long| if is_long { format!("{length:04X}") } else { format!("{length:x}") };
    (vec(any::<u8>(), 1..40), any::<bool>(), behind).prop_map(move |(data, is_long, behind)| {
        [size(data.len(), is_long).as_bytes(), behind.as_bytes(), b"\r\n", &data, b"\r\n"].concat()
    })
}

/// A whole body.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let end = select(&["0\r\n\r\n", "000\r\n\r\n", "0;x\r\nA: b\r\nC: d\r\n\r\n"][..]);
    (vec(chunk(), 0..4), end).prop_map(|(chunks, end)| [&chunks.concat(), end.as_bytes()].concat())
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    vec(0..20_u8, 1..6)
}

fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases: 1024, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_body_is_followed_to_its_end(body in body(), behind in vec(any::<u8>(), 0..20), pieces in pieces()) {
        let stream = [body.as_slice(), &behind].concat();
        prop_assert_eq!(followed(&stream, &pieces), Ok((body.len(), true)));
        following_is_sound(&stream, &pieces);
    }

    #[test]
    fn following_holds_for_damaged_bodies(
        mut body in body(), at in any::<prop::sample::Index>(), byte in any::<u8>(), pieces in pieces(),
    ) {
        let at = at.index(body.len());
        body[at] = byte;
        following_is_sound(&body, &pieces);
        following_is_sound(&body[..at], &pieces);
    }

    #[test]
    fn following_holds_for_any_bytes(
        stream in vec(select(&b"0123456789abcdefAF\r\n\r\n; \t:x\x00\xff"[..]), 0..60), pieces in pieces(),
    ) {
        following_is_sound(&stream, &pieces);
    }
}

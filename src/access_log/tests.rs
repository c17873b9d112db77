use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, SystemTime},
};

use super::{Closing, Event, Method, Outcome, Record, RedactedTarget, RequestId, Side};
use crate::{
    config::LogFormat,
    handshake::{CredentialSource, Presented, Refusal},
};

pub(crate) fn record(event: Event) -> Record {
    Record {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        event,
        request_id: RequestId(7),
        client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        method: Method::of("GET"),
        target: RedactedTarget::of(b"/sockets/events/1?session_api_key=k", &[], &[], &Presented::default()),
        status: Some(101),
        outcome: Outcome::Upgraded,
        credential_source: CredentialSource::Query,
        caller: None,
        duration: Duration::from_micros(3_200),
        bytes_received: 10,
        bytes_sent: 129,
        closing: (event == Event::Close).then_some(Closing {
            code: Some(1000),
            by: Some(Side::Client),
            messages_received: 2,
            messages_sent: 3,
            is_valid: true,
        }),
    }
}

fn line(record: &Record, format: LogFormat) -> String {
    let line = String::from_utf8(record.line(format)).unwrap();
    line.replace(&record.request_id.to_string(), "ID")
}

#[test]
fn json_lines_have_the_fixed_fields() {
    assert_eq!(
        line(&record(Event::Handshake), LogFormat::Json),
        r#"{"time":"2023-11-14T22:13:20.123Z","event":"handshake","request_id":"ID","client":"127.0.0.1","method":"GET","target":"/sockets/events/1?…","status":101,"outcome":"upgraded","credential_source":"query","caller":null,"duration_ms":3.2,"bytes_received":10,"bytes_sent":129}"#.to_owned() + "\n"
    );
    let close = line(&record(Event::Close), LogFormat::Json);
    assert!(
        close.ends_with(
            "\"bytes_sent\":129,\"close_code\":1000,\"closed_by\":\"client\",\"messages_received\":2,\
             \"messages_sent\":3,\"framing\":\"valid\"}\n"
        ),
        "{close}"
    );
}

#[test]
fn text_lines_say_the_same() {
    assert_eq!(
        line(&record(Event::Close), LogFormat::Text),
        "2023-11-14T22:13:20.123Z close 101 upgraded GET /sockets/events/1?… from 127.0.0.1 \
         credential=query caller=- 3.2ms in=10 out=129 messages_in=2 \
         messages_out=3 framing=valid code=1000 by=client id=ID\n"
    );
    let mut refused = record(Event::Request);
    refused.outcome = Outcome::Refused(Refusal::MalformedHead);
    refused.status = Some(400);
    assert!(line(&refused, LogFormat::Text).contains(" request 400 malformed_head GET "));
}

#[test]
fn a_method_is_a_closed_word() {
    assert_eq!(Method::of("s3cret"), Method::OTHER);
    assert_eq!(Method::of("get"), Method::OTHER);
}

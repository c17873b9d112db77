//! Which parts of the job a proxy does: the upstream answers 101 only where all was done.

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::{
    client::{Carrier, Client, Target},
    frame, results,
};

pub(crate) async fn run(target: &Target) {
    let mut answers = Map::new();
    let frame = frame::build(frame::BINARY, b"hello", true);
    for carrier in Carrier::value_variants() {
        let client = Client::new(&Target { carrier: *carrier, ..target.clone() });
        let answer = match client.open("/echo").await {
            Ok(mut socket) => socket.echo(&frame, b"hello").await.map_or_else(Value::from, |()| true.into()),
            Err(why) => why.into(),
        };
        let name = carrier.to_possible_value().unwrap().get_name().to_owned();
        answers.insert(name, answer);
    }
    results::print(&Value::Object(answers).to_string());
}

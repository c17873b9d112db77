//! What an authentication message says: `{"type":"auth","session_api_key":"…"}`, and whatever else
//! may be in it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::secret::{Credential, Wiped};

/// The name under which such a message holds its credential.
const CREDENTIAL: &[u8] = b"session_api_key";

/// A message that is there to present a credential.
pub struct Authentication {
    /// The credential; `None` where something else than text stands in its place.
    pub credential: Option<Credential>,
}

impl Authentication {
    /// Reads a message, if it is one: a JSON object (RFC 8259) whose `type` is `auth` and which has a
    /// credential, of whatever type. Of names that are repeated the last counts, as for the agent server.
    ///
    /// # Errors
    /// It is no JSON object that we could read.
    pub(super) fn parse(message: &[u8]) -> Result<Option<Self>, Unreadable> {
        // The error would repeat what it could not read, and is dropped.
        let found: Found = serde_json::from_slice(message).map_err(|_| Unreadable)?;
        let is_authentication = matches!(found.kind, Some(Value::Text(kind)) if kind.as_bytes() == b"auth");
        Ok(found.credential.filter(|_| is_authentication).map(|credential| Self {
            credential: match credential {
                Value::Text(text) => Some(Credential::from(text)),
                Value::Other => None,
            },
        }))
    }
}

/// A message that is no JSON object, or one that only others could read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What of an object is of interest.
#[derive(Default)]
struct Found {
    kind: Option<Value>,
    credential: Option<Value>,
}

/// A text, or anything else.
enum Value {
    Text(Wiped),
    Other,
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(Value::Text(name)) = members.next_key()? {
            if name.as_bytes() == b"type" {
                found.kind = Some(members.next_value()?);
            } else if name.as_bytes() == CREDENTIAL {
                found.credential = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Wiped::copy_of(text.as_bytes())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

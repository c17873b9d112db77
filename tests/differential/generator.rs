//! Queries over an alphabet in which names collide with the parameter often.

use proptest::{
    prelude::RngExt,
    test_runner::{RngAlgorithm, TestRng},
};

/// One input: a query, and the values of the credential field lines beside it.
pub(crate) struct Input {
    pub(crate) query: String,
    pub(crate) fields: Vec<String>,
}

/// The alphabet, as single bytes and as tokens.
const ALPHABET: [&str; 40] = [
    "s",
    "e",
    "_",
    "%",
    "7",
    "3",
    "5",
    "f",
    "F",
    "&",
    "=",
    "+",
    ";",
    "?",
    ".",
    "k",
    "-",
    "%00",
    "%",
    "&",
    "session_api_key",
    "session%5Fapi_key",
    "session_api_key=",
    "&session_api_key=",
    "&session%5fapi%5Fkey=k",
    "%73",
    "%53",
    "%5F",
    "%3D",
    "%26",
    "%2B",
    "%25",
    "%20",
    "%0d%0a",
    "%7f",
    "%FF",
    "%C3%A9",
    "%C4%80",
    "%C2%85",
    "%C2%A0",
];

/// Values for a credential, usable and not.
const VALUES: [&str; 16] = [
    "k",
    "secret",
    "s%2Dk",
    "a%2Bb+c%25d;e%26f=g",
    "%C3%A9",
    "k%zz%",
    "=k",
    "k?",
    "",
    "+k",
    "k%20",
    "%00",
    "%FF",
    "%C4%80",
    "k%C2%A0",
    "k%7F",
];

/// Field values: Latin-1, without a control character.
const FIELDS: [&str; 6] = ["f", "other-secret", "", "cl\u{e9}", "a, b", "  f  "];

/// A generator of inputs: the same for the same seed.
pub(crate) struct Generator(TestRng);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        // The quick one: what is generated need not be hard to guess.
        Self(TestRng::from_seed(RngAlgorithm::XorShift, &u128::from(seed).to_le_bytes()))
    }

    pub(crate) fn next(&mut self) -> Input {
        let query = if self.one_in(4) {
            self.noise(24)
        } else {
            let count = self.0.random_range(1..6);
            (0..count).map(|_| self.segment()).collect::<Vec<_>>().join("&")
        };
        let count = if self.one_in(2) { 0 } else { self.0.random_range(1..3) };
        Input { query, fields: (0..count).map(|_| self.pick(&FIELDS).to_owned()).collect() }
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.0.random_range(0..count) == 0
    }

    fn pick(&mut self, from: &'static [&'static str]) -> &'static str {
        from[self.0.random_range(0..from.len())]
    }

    fn noise(&mut self, longest: usize) -> String {
        let length = self.0.random_range(0..longest);
        (0..length).map(|_| self.pick(&ALPHABET)).collect()
    }

    /// The parameter, something that nearly is it, or another segment.
    fn segment(&mut self) -> String {
        match self.0.random_range(0..10) {
            0..5 => {
                let name = self.spelling();
                match self.0.random_range(0..8) {
                    0 => name,
                    1 => format!("{name}={}", self.noise(5)),
                    _ => format!("{name}={}", self.pick(&VALUES)),
                }
            }
            5..7 => {
                let mut name = self.spelling();
                let at = self.0.random_range(0..=name.len());
                name.insert_str(at, self.pick(&ALPHABET));
                format!("{name}={}", self.pick(&VALUES))
            }
            _ => self.noise(6),
        }
    }

    /// The parameter's name, some of it percent-encoded.
    fn spelling(&mut self) -> String {
        let encoded = self.pick(&["", "", "_", "s", "_sk", "aeiknopsy_"]);
        "session_api_key"
            .chars()
            .map(|character| match (encoded.contains(character), self.0.random_range(0..4)) {
                (true, 0) => format!("%{:02x}", u32::from(character)),
                (true, 1 | 2) => format!("%{:02X}", u32::from(character)),
                _ => character.to_string(),
            })
            .collect()
    }
}

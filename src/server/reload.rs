//! What a reload can change, and what only a start can.

use crate::config::Config;

/// Keeps what only a start can change as it was, and names every key whose new value waits for one.
pub(super) fn keep_from_the_start(old: &Config, new: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let mut keep = |config_key, differs| {
        if differs {
            kept.push(config_key);
        }
    };
    keep("listen.address", new.listen.address != old.listen.address);
    keep("admin.address", new.admin.address != old.admin.address);
    keep("access_log.path", new.access_log.sink != old.access_log.sink);
    keep("limits.connections", new.limits.connections != old.limits.connections);
    new.listen.address = old.listen.address;
    new.admin.address = old.admin.address;
    new.access_log.sink = old.access_log.sink.clone();
    new.limits.connections = old.limits.connections;
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_addresses_and_says_so() {
        let parse = |text| Config::parse(text, []).unwrap().config;
        let old = parse("");
        let mut new = parse("[listen]\naddress = \"127.0.0.1:1\"\n[drain]\ntimeout = \"1s\"\n");
        assert_eq!(keep_from_the_start(&old, &mut new), ["listen.address"]);
        assert_eq!(new.listen.address, old.listen.address);
        assert_ne!(new.drain, old.drain);
    }
}

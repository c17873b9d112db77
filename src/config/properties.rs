//! The laws of configuration, stated once. A law takes text, as an operator may write it, and panics when
//! it does not hold; generated tests and the fuzz target `config` share them.

use toml::{Table, Value};

use super::{
    Config,
    problem::{Place, Problem},
};

/// Stands for what an operator pasted into the wrong place.
const PASTED: &str = "Zq7-pasted-by-accident-0123456789";

/// The laws of reading a configuration, for any text, with one environment variable laid over it.
///
/// Returns whether it was taken.
///
/// # Panics
/// When one does not hold.
pub fn reading_is_sound(text: &str, variable: Option<(&str, &str)>) -> bool {
    let variables = || variable.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    let read = Config::parse(text, variables());
    if let Err(problems) = &read {
        assert!(!problems.is_empty(), "refused for nothing");
        problems.iter().for_each(|problem| is_of_use(problem, text));
        assert!(problems.is_sorted(), "not in the order of the file");
    }
    if let Ok(table) = text.parse::<Table>() {
        no_value_is_repeated(&table);
    }
    // A variable without a value is one that is not UTF-8.
    for value in [Some(PASTED.to_owned()), None] {
        let pasted = variable.map(|(name, _)| (name.to_owned(), value));
        Config::parse("", pasted).err().iter().flatten().for_each(hides_what_was_pasted);
    }
    if let Ok(loaded) = &read {
        // What shows only when a value is used has its place too.
        is_of_use(&loaded.problem("upstream.url", "cannot be used"), text);
    }
    read.is_ok()
}

/// One line that leads to a place which exists.
pub(super) fn is_of_use(problem: &Problem, text: &str) {
    let line = problem.render("gateway.toml").to_string();
    assert!(!line.chars().any(char::is_control), "not one line: {line:?}");
    assert!(!problem.text.is_empty(), "nothing is said");
    if let Place::Line { line, column } = problem.place {
        let there = text.split('\n').nth(line.saturating_sub(1));
        assert!(line > 0 && there.is_some(), "there is no line {line}");
        let width = there.map_or(0, |line| line.chars().count());
        assert!((1..=width + 1).contains(&column), "there is no column {column} in line {line}");
    }
}

/// Whatever stands in the place of a value, no problem shows it.
fn no_value_is_repeated(table: &Table) {
    let pasted = Value::String(PASTED.to_owned());
    for value in [Value::Array(vec![pasted.clone()]), pasted] {
        let Value::Table(table) = with_values(Value::Table(table.clone()), &value) else { return };
        let problems = Config::parse(&table.to_string(), []).err();
        problems.iter().flatten().for_each(hides_what_was_pasted);
    }
}

fn hides_what_was_pasted(problem: &Problem) {
    assert!(!problem.render("gateway.toml").to_string().contains(PASTED), "a value is repeated");
}

/// The same tables with each value replaced.
fn with_values(value: Value, by: &Value) -> Value {
    match value {
        Value::Table(table) => {
            Value::Table(table.into_iter().map(|(name, value)| (name, with_values(value, by))).collect())
        }
        Value::Array(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Float(_)
        | Value::Integer(_)
        | Value::String(_) => by.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::reading_is_sound;

    #[test]
    fn our_own_file_is_read() {
        assert!(reading_is_sound(include_str!("../../gateway.toml"), None));
        assert!(reading_is_sound("", Some(("HUSHGATE_LIMITS__CONNECTIONS", "10"))));
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for text in
            ["[listen", "[listen]\naddress = 1\n", "x = \"\"\"\n\n\"\"\"", "[limits]\r\nhead_size = \"é\" é"]
        {
            assert!(!reading_is_sound(text, Some(("HUSHGATE_LISTEN__ADDRESS", "\n"))));
        }
    }
}

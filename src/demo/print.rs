//! What the walk looks like on a terminal of a hundred columns.

use std::io::{self, Write};

use super::{cases::Case, keys::Keys, verdict::Observed};

/// The columns that are used.
const WIDTH: usize = 100;

/// Where the text beside a label begins.
const INDENT: usize = 17;

/// How text is set off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bad,
    Dim,
    Good,
    Heading,
    Key,
}

/// Prints the walk to a writer.
pub(super) struct Printer<'a, W> {
    out: &'a mut W,
    has_colour: bool,
    keys: Keys,
}

impl<'a, W: Write> Printer<'a, W> {
    pub(super) fn new(out: &'a mut W, has_colour: bool, keys: Keys) -> Self {
        Self { out, has_colour, keys }
    }

    /// What this is about.
    pub(super) fn introduction(&mut self) -> io::Result<()> {
        let title = self.styled(Style::Heading, "hushgate demo");
        let (right, wrong) = (self.marked(&self.keys.right), self.marked(&self.keys.wrong));
        writeln!(
            self.out,
            "{title}: an agent server, and hushgate in front of it, on this machine's loopback.\n\
             It knows the key {right} and not {wrong}; both are made for this run only.\n\
             Each case is tried at the agent server without hushgate, then through it. The answer must be\n\
             the same, the key must arrive, and no URL behind hushgate and no log may show it.\n"
        )
    }

    /// One case and its verdict.
    pub(super) fn case(
        &mut self,
        number: usize,
        case: &Case,
        observed: &Observed,
        failures: &[&str],
    ) -> io::Result<()> {
        let (style, verdict) =
            if failures.is_empty() { (Style::Good, "held") } else { (Style::Bad, "did not hold") };
        let name = format!("{number}. {}", case.name);
        let gap = WIDTH.saturating_sub(name.chars().count() + verdict.len()).max(1);
        let (name, verdict) = (self.styled(Style::Heading, &name), self.styled(style, verdict));
        writeln!(self.out, "{name}{:gap$}{verdict}", "")?;

        let attempt = &case.attempt;
        self.row("client sent", &format!("GET {}", attempt.target))?;
        for line in attempt.field_line().iter().chain(&attempt.first_message) {
            self.row("", line)?;
        }
        if observed.received.is_empty() {
            self.row("server got", "nothing: hushgate gives the agent server's own refusal itself")?;
        }
        for received in &observed.received {
            self.row("server got", &format!("GET {}", received.target))?;
            for line in received.fields.iter().chain(&received.first_message) {
                self.row("", line)?;
            }
        }
        for received in &observed.received {
            self.row("server log", &received.log_line)?;
        }
        for received in &observed.received_alone {
            if self.keys.appear_in(&received.log_line) {
                self.row("  without it", &received.log_line)?;
            }
        }
        // The line of the socket's end has the same members and some more: once is enough to see.
        let shown = if number == 1 || !failures.is_empty() { usize::MAX } else { 1 };
        for (index, line) in observed.gateway_log.iter().take(shown).enumerate() {
            self.row(if index == 0 { "hushgate log" } else { "" }, line)?;
        }
        let same = if observed.answer == observed.alone { ", as without hushgate" } else { "" };
        self.row("client got", &format!("{}{same}", observed.answer.in_words()))?;
        if observed.answer != observed.alone {
            self.row("  without it", &observed.alone.in_words())?;
        }
        for failure in failures {
            let label = self.styled(Style::Bad, &format!("{:<width$}", "but", width = INDENT - 3));
            writeln!(self.out, "   {label}{failure}")?;
        }
        writeln!(self.out)
    }

    /// How it went, in one sentence.
    pub(super) fn summary(&mut self, held: usize, all: usize) -> io::Result<()> {
        let (style, rest) = if held == all {
            (
                Style::Good,
                ": the answers are the same, URLs are clean behind hushgate, and no log shows a key.",
            )
        } else {
            (Style::Bad, "; what did not is said above, each with its reason.")
        };
        let count = self.styled(style, &format!("{held} of {all} held"));
        writeln!(self.out, "{count}{rest}")
    }

    /// Text beside a label, as many rows as it needs.
    fn row(&mut self, label: &str, text: &str) -> io::Result<()> {
        let rows = wrapped(text, WIDTH - INDENT);
        for (index, row) in rows.iter().enumerate() {
            let label = format!("{:<width$}", if index == 0 { label } else { "" }, width = INDENT - 3);
            let row =
                if text.starts_with("{\"time\"") { self.member_by_member(row) } else { self.marked(row) };
            let label = self.styled(Style::Dim, &label);
            writeln!(self.out, "   {label}{row}")?;
        }
        Ok(())
    }

    /// A row of an access line, in which the members that tell the story stand out.
    fn member_by_member(&self, row: &str) -> String {
        let tells = |member: &str| {
            ["\"target\"", "\"status\"", "\"credential_source\""].iter().any(|name| member.starts_with(name))
        };
        let members = row.split_inclusive(',');
        members
            .map(|member| if tells(member) { self.marked(member) } else { self.styled(Style::Dim, member) })
            .collect()
    }

    /// Text in which every key is set off.
    fn marked(&self, text: &str) -> String {
        let mut marked = text.to_owned();
        for key in [&self.keys.right, &self.keys.wrong] {
            for spelling in [key.clone(), key.replacen('-', "%2D", 1)] {
                marked = marked.replace(&spelling, &self.styled(Style::Key, &spelling));
            }
        }
        marked
    }

    fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bad => "1;31",
            Style::Dim => "2",
            Style::Good => "1;32",
            Style::Heading => "1",
            Style::Key => "33",
        };
        if self.has_colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Breaks text into rows, after a space or a comma where there is one.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for piece in text.split_inclusive([' ', ',']) {
        let taken = rows.last().map_or(0, |row| row.chars().count());
        if taken > 0 && taken + piece.trim_end().chars().count() > width {
            rows.push(String::new());
        }
        if let Some(row) = rows.last_mut() {
            row.push_str(piece);
        }
    }
    rows.into_iter().map(|row| row.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_between_words_and_members() {
        assert_eq!(wrapped(r#"{"a":1,"b":2,"c":3}"#, 13), [r#"{"a":1,"b":2,"#, r#""c":3}"#]);
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("indivisible", 4), ["indivisible"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn colour_is_only_added() {
        let keys = Keys { right: "right-1".to_owned(), wrong: "wrong-2".to_owned() };
        let print = |has_colour| {
            let mut out = Vec::new();
            Printer::new(&mut out, has_colour, keys.clone()).introduction().unwrap();
            String::from_utf8(out).unwrap()
        };
        let (plain, mut coloured) = (print(false), print(true));
        assert!(!plain.contains('\x1b') && coloured.contains("\x1b[33mright-1\x1b[0m"));
        for code in ["0", "1", "33"] {
            coloured = coloured.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(plain, coloured);
    }
}

//! Rows of columns for people: a terminal gets headings above them, a pipe the rows alone.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use super::print_line;

/// What stands between two columns.
const GAP: &str = "  ";

/// A list of `N` columns.
pub(super) struct Table<const N: usize> {
    headings: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A list that has no rows yet.
    pub(super) fn new(headings: [&'static str; N]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// The list of `rows`.
    pub(super) fn of(headings: [&'static str; N], rows: impl IntoIterator<Item = [String; N]>) -> Self {
        Self { rows: rows.into_iter().collect(), ..Self::new(headings) }
    }

    /// Prints the list to standard output.
    pub(super) fn print(&self) {
        self.lines(io::stdout().is_terminal()).iter().for_each(|line| print_line(line));
    }

    /// The rows alone, a line each.
    pub(super) fn rows(&self) -> Vec<String> {
        self.lines(false)
    }

    fn lines(&self, with_headings: bool) -> Vec<String> {
        let headings = with_headings.then(|| self.headings.map(str::to_owned));
        let rows: Vec<&[String; N]> = headings.iter().chain(&self.rows).collect();
        let width_of = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; N] = std::array::from_fn(|column| width_of(column).unwrap_or_default());
        rows.iter().map(|row| line(row, &widths)).collect()
    }
}

fn line<const N: usize>(row: &[String; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        // Writing to a String cannot fail.
        let _ = write!(line, "{cell:<width$}{GAP}");
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> Table<3> {
        let row = |id: &str, role: &str, email: &str| [id.to_owned(), role.to_owned(), email.to_owned()];
        Table::of(
            ["ID", "ROLE", "EMAIL"],
            [row("1", "member", "zoë@example.com"), row("12345", "", "ada@example.com")],
        )
    }

    #[test]
    fn a_terminal_gets_headings_and_a_pipe_the_rows_alone() {
        let told = people().lines(true);
        assert_eq!(told[0], "ID     ROLE    EMAIL");
        assert_eq!(told[1], "1      member  zoë@example.com");
        assert_eq!(told[2], "12345          ada@example.com");
        assert_eq!(people().lines(false), told[1..]);
    }

    #[test]
    fn a_column_is_as_wide_as_its_heading_at_least() {
        let table = Table::of(["SESSION", "AT"], [["1".to_owned(), "2".to_owned()]]);
        assert_eq!(table.lines(true), ["SESSION  AT", "1        2"]);
        assert_eq!(table.lines(false), ["1  2"]);
        assert_eq!(Table::<2>::new(["SESSION", "AT"]).lines(true), ["SESSION  AT"]);
    }
}

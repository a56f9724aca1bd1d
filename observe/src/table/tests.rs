//! Unit tests of `table`.

use super::*;

#[test]
fn columns_line_up() {
    let mut table = Table::new(&["vdisk", "got"]);
    table.row(vec!["a".into(), "1.0 %".into()]);
    table.row(vec!["longer".into(), "50.0 %".into()]);
    assert_eq!(
        table.to_string(),
        "vdisk      got\na        1.0 %\nlonger  50.0 %\n"
    );
}

#[test]
fn names_are_cut_so_that_lines_stay_short() {
    let mut table = Table::new(&["vdisk", "got"]).within(14);
    table.row(vec!["a-long-name".into(), "1 %".into()]);
    assert_eq!(table.to_string(), "vdisk      got\na-long-n…  1 %\n");
}

#[test]
fn colour_takes_no_width_and_marks_what_is_wrong() {
    let mut table = Table::new(&["vdisk", "missed"]).with_colour(true);
    table.row(vec!["db".into(), "2".into()]);
    table.mark(1);
    table.row(vec!["web".into(), "0".into()]);
    assert_eq!(
        table.to_string(),
        "\x1b[1mvdisk\x1b[0m  \x1b[1mmissed\x1b[0m\ndb     \x1b[1;31m     2\x1b[0m\nweb         0\n"
    );
}

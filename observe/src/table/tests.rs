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

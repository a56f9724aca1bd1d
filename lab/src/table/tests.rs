//! Unit tests of `table`.

use super::*;

#[test]
fn columns_line_up_and_figures_are_on_the_right() {
    let mut table = Table::new(["mix", "isolation"]);
    table.row(vec!["seq/random".into(), "1.05".into()]);
    let text = "| mix        | isolation |\n\
                    |------------|----------:|\n\
                    | seq/random |      1.05 |\n";
    assert_eq!(table.to_string(), text);
}

//! Unit tests of `export`.

use super::*;

fn export(name: &str) -> Export {
    Export::new(ExportHandle(0), VdiskId(0), name, 1 << 20)
}

#[test]
fn the_empty_name_means_the_only_export() {
    let one = vec![export("web")];
    assert_eq!(
        find_export(&one, "").map(|export| export.name),
        Some("web".into())
    );
    let two = vec![export("web"), export("db")];
    assert_eq!(find_export(&two, ""), None);
    assert_eq!(
        find_export(&two, "db").map(|export| export.name),
        Some("db".into())
    );
    assert_eq!(find_export(&Vec::new(), ""), None);
    let named_empty = vec![export("web"), export("")];
    assert_eq!(
        find_export(&named_empty, "").map(|export| export.name),
        Some("".into())
    );
}

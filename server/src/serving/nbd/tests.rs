//! Unit tests of `nbd`.

use super::*;

#[test]
fn a_port_that_is_open_to_everyone_gives_a_notice() {
    let notices = |nbd: &str, vdisk: &str| {
        let text = format!(
            r#"{{ "state_dir": "state", "disks": {{ "d": {{ "path": "d", "size": "1GiB" }} }},
                "vdisks": {{ "a": {{ "disk": "d", "size": "1MiB"{vdisk} }} }}, "nbd": {{ {nbd} }} }}"#
        );
        let checker = |_: &serde_json::Value| Ok(());
        let configuration = Configuration::parse(&text, Path::new("test.json"), &checker);
        let configuration = configuration.expect("a proper file");
        prepare(&configuration).expect("nothing is missing").notices
    };
    let everywhere = r#""listen": ["127.0.0.1:1", "0.0.0.0:10809"]"#;
    let said = notices(everywhere, "").concat();
    assert!(said.contains("reaches 0.0.0.0:10809"), "{said}");
    let listed = r#", "allow": ["10.0.0.0/8"]"#;
    assert_eq!(notices(&format!("{everywhere}{listed}"), ""), [""; 0]);
    assert_eq!(notices(everywhere, listed), [""; 0]);
    assert_eq!(
        notices(r#""listen": ["127.0.0.1:1", "[::1]:1"]"#, ""),
        [""; 0]
    );
}

#[test]
fn a_limit_that_a_vdisk_never_reaches_gives_a_notice() {
    let notices = |limit: u32, own: u32| {
        let text = format!(
            r#"{{ "state_dir": "state", "disks": {{ "d": {{ "path": "d", "size": "1GiB" }} }},
                "vdisks": {{ "a": {{ "disk": "d", "size": "1MiB", "connections": {own} }},
                             "b": {{ "disk": "d", "size": "1MiB" }} }},
                "nbd": {{ "connections": {limit} }} }}"#
        );
        let checker = |_: &serde_json::Value| Ok(());
        let configuration = Configuration::parse(&text, Path::new("test.json"), &checker);
        let configuration = configuration.expect("a proper file");
        prepare(&configuration).expect("nothing is missing").notices
    };
    let said = notices(16, 13).concat();
    assert!(
        said.contains("`a` has 13 \"connections\" and gets at most 12"),
        "{said}"
    );
    assert_eq!(notices(16, 12), [""; 0]);
}

#[test]
fn a_path_over_a_directory_that_is_not_there_yet_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |path: &str| directory.path().join(path);
    std::fs::create_dir(place("pki")).expect("a directory");
    assert_eq!(before_creation(&place("state/../pki")), place("pki"));
    assert_eq!(
        before_creation(&place("state/./sub/../../pki")),
        place("pki")
    );
    assert_eq!(
        before_creation(&place("state/../gone")),
        place("state/../gone")
    );
    std::fs::create_dir(place("state")).expect("a directory");
    assert_eq!(
        before_creation(&place("state/../pki")),
        place("state/../pki")
    );
}

#[test]
fn users_and_groups_have_numbers() {
    assert_eq!(account_number("root", Account::User), Some(0));
    assert_eq!(account_number("root", Account::Group), Some(0));
    assert_eq!(account_number("12345", Account::Group), Some(12345));
    assert_eq!(account_number("no such user", Account::User), None);
    assert_eq!(account_number("no such group", Account::Group), None);
    assert_eq!(account_number("nul\0", Account::User), None);
}

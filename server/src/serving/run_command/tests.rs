//! Unit tests of `run_command`.

use super::*;

fn environment(names: &[&str]) -> CommandEnvironment {
    let uris = |name: &str| {
        vec![
            NbdUri::unix("/run/nbd.sock", name),
            NbdUri::tcp("127.0.0.1", 1234, name),
        ]
    };
    CommandEnvironment {
        vdisks: names
            .iter()
            .map(|name| ((*name).to_owned(), uris(name)))
            .collect(),
        ..CommandEnvironment::default()
    }
}

fn value(environment: &CommandEnvironment, name: &str) -> Option<String> {
    let mut variables = environment.variables().into_iter();
    variables
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

#[test]
fn one_vdisk_is_the_uri() {
    let one = environment(&["web"]);
    let uri = "nbd+unix:///web?socket=/run/nbd.sock";
    assert_eq!(value(&one, "uri").as_deref(), Some(uri));
    assert_eq!(value(&one, "unixsocket").as_deref(), Some("/run/nbd.sock"));
    assert_eq!(value(&one, "port").as_deref(), Some("1234"));
    assert_eq!(value(&one, "mount"), None);
}

#[test]
fn of_several_none_is_guessed() {
    let two = environment(&["web", "db-1"]);
    let uri = "nbd+unix:///?socket=/run/nbd.sock";
    assert_eq!(value(&two, "uri").as_deref(), Some(uri));
    let uri = "nbd+unix:///db-1?socket=/run/nbd.sock";
    assert_eq!(value(&two, "uri_db_1").as_deref(), Some(uri));
    assert_eq!(value(&two, "vdisks").as_deref(), Some("web db-1"));
}

#[test]
fn two_names_that_a_shell_cannot_tell_apart_have_no_variable() {
    let three = environment(&["a-b", "a.b", "ab"]);
    assert_eq!(value(&three, "uri_a_b"), None);
    assert!(value(&three, "uri_ab").is_some());
    let notice = three.notice().expect("it is worth a word");
    assert!(notice.contains("$uri_a_b"), "{notice}");
    assert_eq!(environment(&["a-b", "ab"]).notice(), None);
}

#[test]
fn certificates_are_named_where_tls_is_spoken() {
    let mut one = environment(&["web"]);
    one.certificates = Some("/etc/pki".into());
    one.vdisks[0].1[0].tls = true;
    let uri = "nbds+unix:///web?socket=/run/nbd.sock&tls-certificates=/etc/pki";
    assert_eq!(value(&one, "uri").as_deref(), Some(uri));
}

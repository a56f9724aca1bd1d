//! Unit tests of `command_line`.

use super::*;

fn read(clients: &[&str]) -> Result<Workload, WorkloadError> {
    let clients: Vec<String> = clients.iter().map(|text| (*text).to_owned()).collect();
    Workload::from_command_line(&clients, "10s", 7)
}

#[test]
fn a_command_line_says_what_a_file_does() {
    let written = read(&[
        "oltp,vdisk=db,depth=4,think=exponential 5ms,commit=3",
        "oltp,vdisk=db,name=second,fua=true",
        "vdisk=web",
        "{ \"vdisk\": \"web\", \"mix\": [ {}, { \"kind\": \"zipf\" } ] }",
    ])
    .unwrap_or_else(|error| panic!("{error}"));
    let file = r#"{ "duration": "10s", "seed": 7, "clients": {
            "oltp": { "vdisk": "db", "kind": "oltp", "depth": 4, "think": "exponential 5ms", "commit": 3 },
            "second": { "vdisk": "db", "kind": "oltp", "fua": true },
            "client": { "vdisk": "web" },
            "client 2": { "vdisk": "web", "mix": [ {}, { "kind": "zipf" } ] } } }"#;
    let mut file = Workload::parse(Path::new("w"), file).unwrap_or_else(|error| panic!("{error}"));
    for (written, filed) in written.clients.iter().zip(&mut file.clients) {
        filed.excerpts = written.excerpts.clone();
    }
    assert_eq!(written, file);
}

#[test]
fn mistakes_on_a_command_line_are_named() {
    for (client, expected) in [
        ("oltp", "needs the key `vdisk`"),
        ("tape,vdisk=v", "not a kind of generator"),
        ("oltp,vdisk=v,deep", "not KEY=VALUE"),
        ("oltp,vdisk=v,depth=x", "`depth` cannot be a text"),
        ("oltp,vdisk=v,vdisk=w", "occurs twice"),
        ("oltp,vdisk=v,dpeth=3", "did you mean `depth`"),
        ("oltp,vdisk=v,rate=5", "is not a rate"),
        ("{ \"vdisk\": 3 }", "`vdisk` cannot be a number"),
        ("{", "command line"),
    ] {
        let error = read(&[client]).expect_err(client).to_string();
        assert!(error.contains(expected), "{client}: {error}");
    }
}

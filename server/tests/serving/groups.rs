//! A reservation that several vdisks share, from the file to the disk: what `simulate`, `status`
//! and `load` tell of it, and what is refused.

use crate::figures::{HARD_DISK, is_near, number, simulated};
use crate::programs::text;
use crate::test_directory::{TestDirectory, assert_says};
use serde_json::Value;

const GROUPS: &str =
    r#""groups": { "tenant": { "reserve": "40%", "period": "500ms" } }, "nbd": {}"#;
const VDISKS: &str = r#""web": { "disk": "hdd0", "size": "8GiB", "group": "tenant", "weight": 300 },
    "mail": { "disk": "hdd0", "size": "8GiB", "group": "tenant" },
    "db": { "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "500ms" },
    "greedy": { "disk": "hdd0", "size": "8GiB", "weight": 10000 }"#;
const WEB: &str = r#""web": { "vdisk": "web", "pattern": "random", "depth": 4 }"#;
const MAIL: &str = r#""mail": { "vdisk": "mail", "pattern": "random", "depth": 4 }"#;
/// Takes all that anybody leaves.
const OTHERS: &str = r#""db": { "vdisk": "db", "pattern": "random", "depth": 4 },
    "greedy": { "vdisk": "greedy", "pattern": "random", "depth": 32 }"#;

fn place() -> TestDirectory {
    TestDirectory::configured(HARD_DISK, VDISKS, GROUPS)
}

fn of_clients(place: &TestDirectory, clients: &[&str], more: &[&str]) -> Value {
    let clients = clients.join(",\n");
    let workload = format!(r#"{{ "duration": "20s", "clients": {{ {clients} }} }}"#);
    simulated(place, &place.write("workload.json", workload), more)
}

#[test]
fn members_share_by_weight_and_every_share_is_counted_once() {
    let place = place();
    let report = of_clients(&place, &[WEB, MAIL, OTHERS], &[]);
    let (disk, group) = (&report["disks"]["hdd0"], &report["groups"]["tenant"]);
    assert_eq!(group["members"], serde_json::json!(["web", "mail"]));
    assert_eq!(number(group, "reserved_share"), 0.4);
    is_near(number(group, "reserved_used_share"), 0.4, 0.005);
    assert!(number(group, "deadlines_met") >= 39.0 && group["deadlines_missed"] == 0);
    let of = |name: &str, key: &str| number(&report["vdisks"][name], key);
    let parts = of("web", "received_share") + of("mail", "received_share");
    is_near(number(group, "received_share"), parts, 5e-6);
    is_near(of("web", "received_share") / parts, 0.75, 0.03);
    assert_eq!(report["vdisks"]["web"]["group"], "tenant");
    assert_eq!(report["vdisks"]["db"]["group"], Value::Null);
    let mut whole = number(&disk["background"]["metadata"], "received_share");
    for key in ["switching_share", "idle_share", "in_flight_share"] {
        whole += number(disk, key);
    }
    for name in ["web", "mail", "db", "greedy"] {
        whole += of(name, "received_share");
    }
    is_near(whole, 1.0, 1e-5);
    let apart = number(group, "received_share") + number(group, "others_share");
    let one = of("db", "received_share") + of("db", "others_share");
    is_near(apart, one, 1e-5);
}

#[test]
fn what_a_member_leaves_is_its_siblings_before_it_is_the_best_effort_neighbours() {
    let place = place();
    let report = of_clients(&place, &[WEB, OTHERS], &[]);
    let web = &report["vdisks"]["web"];
    is_near(number(web, "reserved_used_share"), 0.4, 0.005);
    assert_eq!(number(&report["vdisks"]["mail"], "received_share"), 0.0);
    let left = number(&report["vdisks"]["greedy"], "received_share");
    assert!(left < 0.25, "{left} went to the best-effort neighbour");
    assert_eq!(report["groups"]["tenant"]["deadlines_missed"], 0);
}

#[test]
fn tables_and_picture_show_the_group_with_its_members() {
    let place = place();
    let picture = place.path("picture.svg");
    of_clients(&place, &[WEB, MAIL, OTHERS], &["--svg", text(&picture)]);
    let drawn = std::fs::read_to_string(&picture).expect("the picture is there");
    for words in ["group, 40 % per 500ms", "of tenant", ">tenant<"] {
        assert!(drawn.contains(words), "no {words} in the picture");
    }
    let table = place.succeeds(&["simulate", text(&place.path("workload.json")), "--solo"]);
    let lines: Vec<&str> = table.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("tenant "));
    let at = at.unwrap_or_else(|| panic!("no line of the group in\n{table}"));
    assert!(lines[at + 1].starts_with("  mail ") && lines[at + 2].starts_with("  web "));
    let check: Value = serde_json::from_str(&place.succeeds(&["check", "--json"])).expect("JSON");
    let disk = &check["disks"]["hdd0"];
    assert_eq!(disk["groups"]["tenant"]["budget_ms"], 200.0);
    assert_eq!(disk["vdisks"]["web"]["group"], "tenant");
    // 40 % for the group, 40 % for the vdisk of its own, 1 % for metadata.
    assert_eq!(number(disk, "reserved_share"), 0.81);
}

#[test]
fn a_policy_that_knows_no_groups_is_refused_wherever_it_comes_from() {
    let place = place();
    let workload = format!(r#"{{ "duration": "1s", "clients": {{ {WEB} }} }}"#);
    let workload = place.write("workload.json", workload);
    for arguments in [
        &["serve", "--policy", "mclock"][..],
        &["simulate", text(&workload), "--policy", "mclock"],
    ] {
        let sentence = place.fails(arguments);
        let says = ["`tenant`", "`mclock` has no groups", "fahrrad"];
        assert_says(&sentence, &says);
    }
    // Of several policies to compare with, those without groups are left out by name.
    let compare = [
        "simulate",
        text(&workload),
        "--compare",
        "fahrrad,mclock,fifo",
        "--json",
    ];
    let output = crate::programs::finished(place.command(&compare));
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_says(
        &said,
        &["`mclock` has no groups", "`fifo` has no groups", "left out"],
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let compared = report["compared"].as_object().expect("an object");
    assert_eq!(compared.keys().collect::<Vec<_>>(), ["fahrrad"]);
}

#[test]
fn a_group_is_served_and_its_status_is_that_of_its_members_together() {
    let place = place();
    let server = place.start();
    let workload = format!(r#"{{ "duration": "2s", "clients": {{ {WEB}, {MAIL} }} }}"#);
    let workload = place.write("workload.json", workload);
    let told = place.succeeds(&["load", text(&workload), "--json"]);
    let load: Value = serde_json::from_str(&told).expect("JSON");
    let received = number(&load["groups"]["tenant"], "received_share");
    assert!(received > 0.0, "{load:#}");
    let status = place.status();
    let group = &status.groups["tenant"];
    assert_eq!(group.members, ["web", "mail"]);
    let entitlement = &group.account.entitlement;
    assert_eq!(entitlement.reserved_share, 0.4);
    assert_eq!(entitlement.period_ms, Some(500.0));
    let total = |vdisk: &str| status.vdisks[vdisk].stream.account.windows.total;
    let (web, mail, together) = (total("web"), total("mail"), group.account.windows.total);
    assert_eq!(
        together.reserved_used_ns,
        web.reserved_used_ns + mail.reserved_used_ns
    );
    assert_eq!(together.spare_ns, web.spare_ns + mail.spare_ns);
    assert_eq!(together.requests, web.requests + mail.requests);
    assert!(mail.requests > 0);
    assert!(together.deadlines_met > 0, "{group:?}");
    let table = place.succeeds(&["status"]);
    assert!(
        table.lines().any(|line| line.starts_with("  mail ")),
        "{table}"
    );
    server.stop();
}

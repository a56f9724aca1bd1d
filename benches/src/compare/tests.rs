//! Unit tests of `compare`.

use super::*;

fn sample(server: &'static str, iops: f64, cpu_us: f64) -> Sample {
    Sample {
        server,
        iops,
        bytes_per_second: iops * 4096.0,
        p50_us: 10.0,
        p99_us: 20.0,
        p99_9_us: 30.0,
        cpu_us,
    }
}

#[test]
fn ours_is_set_against_the_best_rival_in_that_figure_round_by_round() {
    let row = Row {
        cell: "null 4K randread d1".to_owned(),
        rounds: vec![
            vec![
                sample(OURS, 120.0, 3.0),
                sample("one", 100.0, 10.0),
                sample("two", 50.0, 4.0),
                sample("apart", 240.0, 1.0),
            ],
            vec![
                sample("one", 10.0, 20.0),
                sample("two", 5.0, 30.0),
                sample(OURS, 15.0, 5.0),
            ],
        ],
    };
    let rivals = ["one", "two"];
    let iops = row.ratio(IOPS, &rivals).expect("two rounds");
    assert_eq!((iops.least, iops.greatest), (1.2, 1.5));
    let cpu = row.ratio(CPU, &rivals).expect("two rounds");
    assert_eq!(
        (cpu.least, cpu.greatest),
        (0.25, 0.3),
        "two's luck in the first round is not the best"
    );
    let apart = row.ratio(IOPS, &["apart"]).expect("one round");
    assert_eq!(apart.median, 0.5);
    assert_eq!(row.ratio_text(IOPS, &rivals), "1.50 (1.20-1.50)");
    assert_eq!(row.ratio_text(IOPS, &["absent"]), "-");
    assert_eq!(row.side_by_side(IOPS, &rivals, 0), "120 / 100");
    let table = absolute(&[row], &[OURS, "absent"]).to_string();
    assert!(table.contains("| disktime |"), "{table}");
    assert!(!table.contains("absent"), "{table}");
}

#[test]
fn every_server_has_its_turn_in_every_round_and_each_round_another_begins() {
    let plan = Plan {
        quick: false,
        rounds: 2,
        milliseconds: 7,
        cells: vec!["d32".to_owned()],
        program: None,
        json: None,
    };
    assert!(plan.wants("null d32") && !plan.wants("null d1"));
    let row = plan.measure("x".to_owned(), &["a", "b"], |server, time| {
        Ok(sample(server, 1.0, time.as_millis() as f64))
    });
    let row = row.expect("nothing fails");
    let order = |round: &Vec<Sample>| round.iter().map(|one| one.server).collect::<String>();
    let orders: Vec<String> = row.rounds.iter().map(order).collect();
    assert_eq!(orders, ["ab", "ba"]);
    assert_eq!(row.rounds[0][0].cpu_us, 7.0);
}

//! When gathering pays and when it does not: clients in virtual time, woken or looked at.

use super::*;

/// A client in virtual time: when the socket wakes us, one request per `woken`, and every fourth time two
/// if it has two; when we look, whatever fits, one per `sent`, up to `depth` per look.
struct Client {
    gathering: Gathering,
    now: Nanos,
    woken: Nanos,
    sent: Nanos,
    depth: u32,
    steps: u32,
    looks: u32,
    requests: u32,
}

impl Client {
    fn new(woken: u64, sent: u64, depth: u32) -> Client {
        Client {
            gathering: Gathering::default(),
            now: Nanos::from_secs(1),
            woken: Nanos::from_micros(woken),
            sent: Nanos::from_micros(sent),
            depth,
            steps: 0,
            looks: 0,
            requests: 0,
        }
    }

    /// One wake-up or look.
    fn step(&mut self) {
        let before = self.now;
        let (looked, requests) = if self.gathering.is_on() {
            self.now = self.gathering.next_look(self.now);
            assert!(self.gathering.is_due(self.now));
            assert!(!self.gathering.is_due(self.now), "a look is taken once");
            let came = (self.now - before).0 / self.sent.0;
            self.looks += 1;
            (true, self.depth.min(came as u32))
        } else {
            self.now += self.woken;
            let two = self.depth > 1 && self.steps.is_multiple_of(4);
            (false, 1 + u32::from(two))
        };
        self.steps += 1;
        self.requests += requests;
        self.gathering.came(self.now, looked, requests, 1);
    }

    fn run(&mut self, time: Nanos) -> (u32, u32) {
        (self.looks, self.requests) = (0, 0);
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
        (self.looks, self.requests)
    }
}

#[test]
fn a_client_with_much_to_send_is_looked_at_and_gets_more_done() {
    let mut client = Client::new(7, 2, 32);
    let (looks, requests) = client.run(Nanos::from_secs(1));
    // A thousandth of the time and a look per 250 ms go to comparing.
    assert!(looks > 45_000, "{looks} looks");
    assert!(
        requests > 450_000,
        "{requests} requests, of 179,000 woken for"
    );
}

#[test]
fn a_client_that_waits_for_each_answer_is_never_delayed() {
    assert_eq!(Client::new(13, 2, 1).run(Nanos::from_secs(10)).0, 0);
}

#[test]
fn a_client_that_waits_for_two_answers_loses_three_delays_per_trial() {
    let mut client = Client::new(13, 2, 2);
    let (looks, _) = client.run(Nanos::from_secs(1));
    let trials = looks / FRUITLESS_LOOKS;
    assert!((1..=8).contains(&trials), "{trials} trials");
    let (looks, requests) = client.run(Nanos::from_secs(10));
    let trials = looks / FRUITLESS_LOOKS;
    assert!(
        (8..=11).contains(&trials),
        "{trials} trials, a second apart"
    );
    assert!(requests > 961_400, "{requests} of 961,538 requests");
}

#[test]
fn what_is_not_faster_is_not_kept() {
    // Looking brings five at a time, but no more of them: the disk is what limits.
    let mut client = Client::new(5, 4, 5);
    let (looks, _) = client.run(Nanos::from_secs(10));
    let trial = WINDOW.0 / DELAY.0 + 1;
    assert!(u64::from(looks) < 20 * trial, "{looks} looks");
}

#[test]
fn when_the_client_has_less_to_send_the_socket_wakes_us_again() {
    let mut client = Client::new(7, 2, 32);
    client.run(Nanos::from_millis(100));
    assert!(client.gathering.is_on());
    client.depth = 1;
    for _ in 1..FRUITLESS_LOOKS {
        client.step();
        assert!(client.gathering.is_on(), "it may have had no processor");
    }
    client.step();
    assert!(!client.gathering.is_on());
}

#[test]
fn a_connection_that_is_drained_is_never_looked_at_again() {
    let mut client = Client::new(7, 2, 32);
    client.run(Nanos::from_millis(100));
    client.gathering.end();
    assert_eq!(client.run(Nanos::from_secs(10)).0, 0);
}

#[test]
fn slow_clients_and_those_that_send_many_at_a_time_are_let_alone() {
    let mut slow = Client::new(50, 2, 32);
    assert_eq!(slow.run(Nanos::from_secs(1)).0, 0);
    let mut gathering = Gathering::default();
    for step in 1..100_000 {
        gathering.came(Nanos::from_micros(step * 10), false, 32, 1);
        assert!(!gathering.is_on());
    }
}

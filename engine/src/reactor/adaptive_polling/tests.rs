//! When polling pays and when it does not: clients in virtual time, with events or polled.

use super::*;

/// A client in virtual time. With events, one request comes per `event_time`, and every fourth time
/// two if it has two; polled, one per `send_time`, up to `depth` per poll.
struct Client {
    polling: AdaptivePolling,
    now: Nanos,
    event_time: Nanos,
    send_time: Nanos,
    depth: u32,
    steps: u32,
    polls: u32,
    requests: u32,
}

impl Client {
    fn new(event_micros: u64, send_micros: u64, depth: u32) -> Client {
        Client {
            polling: AdaptivePolling::default(),
            now: Nanos::from_secs(1),
            event_time: Nanos::from_micros(event_micros),
            send_time: Nanos::from_micros(send_micros),
            depth,
            steps: 0,
            polls: 0,
            requests: 0,
        }
    }

    /// One event or poll.
    fn step(&mut self) {
        let before = self.now;
        let (polled, requests) = if self.polling.is_on() {
            self.now = self.polling.next_poll(self.now);
            assert!(self.polling.take_due(self.now));
            assert!(!self.polling.take_due(self.now), "a poll is taken once");
            let came = (self.now - before).0 / self.send_time.0;
            self.polls += 1;
            (true, self.depth.min(came as u32))
        } else {
            self.now += self.event_time;
            let two = self.depth > 1 && self.steps.is_multiple_of(4);
            (false, 1 + u32::from(two))
        };
        self.steps += 1;
        self.requests += requests;
        self.polling.record(self.now, polled, requests, 1);
    }

    fn run(&mut self, time: Nanos) -> (u32, u32) {
        (self.polls, self.requests) = (0, 0);
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
        (self.polls, self.requests)
    }
}

#[test]
fn a_client_with_much_to_send_is_polled_and_gets_more_done() {
    let mut client = Client::new(7, 2, 32);
    let (polls, requests) = client.run(Nanos::from_secs(1));
    // A thousandth of the time and a poll per 250 ms go to comparing.
    assert!(polls > 45_000, "{polls} polls");
    assert!(
        requests > 450_000,
        "{requests} requests, where events bring 179,000"
    );
}

#[test]
fn a_client_that_waits_for_each_answer_is_never_delayed() {
    assert_eq!(Client::new(13, 2, 1).run(Nanos::from_secs(10)).0, 0);
}

#[test]
fn a_client_that_waits_for_two_answers_loses_three_delays_per_trial() {
    let mut client = Client::new(13, 2, 2);
    let (polls, _) = client.run(Nanos::from_secs(1));
    let trials = polls / FRUITLESS_POLLS_MAX;
    assert!((1..=8).contains(&trials), "{trials} trials");
    let (polls, requests) = client.run(Nanos::from_secs(10));
    let trials = polls / FRUITLESS_POLLS_MAX;
    assert!(
        (8..=11).contains(&trials),
        "{trials} trials, a second apart"
    );
    assert!(requests > 961_400, "{requests} of 961,538 requests");
}

#[test]
fn what_is_not_faster_is_not_kept() {
    // Polling finds five at a time, but no more of them: the disk limits the rate.
    let mut client = Client::new(5, 4, 5);
    let (polls, _) = client.run(Nanos::from_secs(10));
    let trial = WINDOW.0 / POLL_INTERVAL.0 + 1;
    assert!(u64::from(polls) < 20 * trial, "{polls} polls");
}

#[test]
fn when_the_client_has_less_to_send_events_are_waited_for_again() {
    let mut client = Client::new(7, 2, 32);
    client.run(Nanos::from_millis(100));
    assert!(client.polling.is_on());
    client.depth = 1;
    for _ in 1..FRUITLESS_POLLS_MAX {
        client.step();
        assert!(
            client.polling.is_on(),
            "the client may have had no processor"
        );
    }
    client.step();
    assert!(!client.polling.is_on());
}

#[test]
fn a_connection_that_is_drained_is_never_polled_again() {
    let mut client = Client::new(7, 2, 32);
    client.run(Nanos::from_millis(100));
    client.polling.disable();
    assert_eq!(client.run(Nanos::from_secs(10)).0, 0);
}

#[test]
fn slow_clients_and_clients_that_batch_are_never_polled() {
    let mut slow = Client::new(50, 2, 32);
    assert_eq!(slow.run(Nanos::from_secs(1)).0, 0);
    let mut polling = AdaptivePolling::default();
    for step in 1..100_000 {
        polling.record(Nanos::from_micros(step * 10), false, 32, 1);
        assert!(!polling.is_on());
    }
}

//! Unit tests of `index`.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Slack at each deadline, by the formula, over all demands.
fn slacks(demands: &[StreamDemand], terms: SlackTerms) -> Vec<(Nanos, i128)> {
    let at = |deadline: Nanos| {
        let due = demands.iter().filter(|demand| demand.deadline <= deadline);
        let claimed: i128 = due
            .map(|demand| product(deadline, demand.share_ppm) + demand.constant)
            .sum();
        let time = i128::from(deadline.0) - i128::from(terms.now.0);
        time * i128::from(terms.rate_ppm) - terms.outstanding - claimed
    };
    let deadlines = demands.iter().map(|demand| demand.deadline);
    deadlines.map(|deadline| (deadline, at(deadline))).collect()
}

fn check(index: &mut SlackIndex, known: &BTreeMap<u32, StreamDemand>, terms: SlackTerms) {
    let demands: Vec<StreamDemand> = known.values().copied().collect();
    let slacks = slacks(&demands, terms);
    let short = slacks.iter().filter(|(_, slack)| *slack < 0);
    let short_at = short.map(|(deadline, _)| *deadline).min();
    let short_at = short_at.unwrap_or(Nanos::MAX);
    let least_before = |until: Nanos| {
        let before = slacks.iter().filter(|(deadline, _)| *deadline < until);
        before.map(|(_, slack)| *slack).min().unwrap_or(i128::MAX)
    };
    let may_go = demands.iter().filter(|demand| demand.deadline <= short_at);
    let lags = may_go.filter_map(|demand| Some((demand.lag?, Reverse(demand.stream))));
    let scan = index.scan(terms);
    assert_eq!(scan.short_at, short_at);
    if short_at == Nanos::MAX {
        assert_eq!(scan.slack, least_before(short_at));
    } else {
        // Where several share the deadline that is short, it may be stated too low.
        assert!((0..=least_before(short_at)).contains(&scan.slack));
    }
    assert_eq!(scan.candidates, lags.clone().count());
    let most_behind = lags.max().map(|(lag, stream)| (lag, stream.0));
    assert_eq!(scan.most_behind, most_behind);
    for demand in demands.iter().step_by(7) {
        let slack = index.slack_before(terms, demand.deadline);
        assert_eq!(slack, least_before(demand.deadline));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_look_finds_what_the_formula_says(
        start in 0u64..1_000_000_000_000,
        steps in proptest::collection::vec(
            (0u32..300, 0u64..4_000, 0i64..4_000, 0i64..80, any::<bool>()),
            1..900,
        ),
    ) {
        let mut index = SlackIndex::default();
        let mut known: BTreeMap<u32, StreamDemand> = BTreeMap::new();
        let mut terms = SlackTerms { now: Nanos(start), rate_ppm: 1_000_000, outstanding: 0 };
        for (step, (id, ahead_ms, share, budget_ms, waits)) in steps.into_iter().enumerate() {
            let stream = StreamId::new(id, 0);
            let old = known.get(&id).map(|demand| demand.deadline);
            if share == 0 {
                if let Some(deadline) = old {
                    index.remove(deadline, stream);
                    known.remove(&id);
                }
            } else {
                // Deadlines that coincide, and such as are past.
                let deadline = Nanos(start + ahead_ms / 50 * 50_000_000);
                let budget = i128::from(budget_ms) * 1_000_000 * 1_000_000;
                let lag = waits.then_some(budget_ms * 1_000 - share);
                let demand = StreamDemand::new(stream, share, deadline, budget, lag);
                index.set(old, demand);
                known.insert(id, demand);
            }
            terms.now += Nanos(ahead_ms * 50);
            terms.rate_ppm = 1_000_000 - share * 20;
            terms.outstanding = i128::from(budget_ms) * 1_000_000;
            if step % 5 == 0 {
                check(&mut index, &known, terms);
            }
        }
        check(&mut index, &known, terms);
    }
}

//! Unit tests of `mutate`.

use super::*;

#[test]
fn the_same_seed_gives_the_same_inputs() {
    let seeds = vec![vec![1; 100], vec![2; 50], Vec::new()];
    let draw = |seed| {
        let mut mutator = Mutator::new(seed);
        (0..100).map(|_| mutator.input(&seeds)).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

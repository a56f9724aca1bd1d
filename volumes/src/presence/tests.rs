//! Unit tests of `presence`.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn it_is_a_row_of_flags(
        chunks in 1u64..300,
        changes in proptest::collection::vec((0u64..300, 0u64..300, any::<bool>()), 0..20),
    ) {
        let mut presence = Presence::new(chunks * CHUNK_BYTES, false);
        let mut flags = vec![false; chunks as usize];
        for (from, to, held) in changes {
            let before = presence.held_chunks();
            let changed = presence.set(from, to, held);
            let after = presence.held_chunks();
            prop_assert_eq!(if held { after - before } else { before - after }, changed);
            for flag in flags.iter_mut().take(to as usize).skip(from as usize) {
                *flag = held;
            }
        }
        let count = flags.iter().filter(|flag| **flag).count();
        prop_assert_eq!(presence.held_chunks(), count as u64);
        for chunk in 0..chunks {
            prop_assert_eq!(presence.is_held(chunk), flags[chunk as usize]);
            let end = (chunk..chunks).find(|at| flags[*at as usize] != flags[chunk as usize]);
            prop_assert_eq!(presence.run_end(chunk, u64::MAX), end.unwrap_or(chunks));
            prop_assert_eq!(presence.run_end(chunk, chunk + 1), chunk + 1);
        }
    }
}

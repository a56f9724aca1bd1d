//! Unit tests of `extent`.

use super::*;

#[test]
fn extents_survive_the_buffer() {
    for (hole, zero) in [(false, false), (true, false), (false, true), (true, true)] {
        for len_bytes in [1, 4096, 1 << 40, (1 << 62) - 1] {
            let extent = Extent {
                len_bytes,
                hole,
                zero,
            };
            assert_eq!(Extent::decode(extent.encode()), extent);
        }
    }
}

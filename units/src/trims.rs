//! What becomes of the trims of a vdisk, as a reservation file says it.

/// What becomes of trims.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TrimHandling {
    /// They are cut and sent on to the disk; each is answered when the disk has done it.
    #[default]
    Pass,
    /// Whole chunks are recorded as holes, which read as zeroes at once; the disk is told later, in
    /// spare time.
    Hold,
    /// Clients are not told that there are trims; one that comes all the same is answered, and
    /// nothing changes.
    Ignore,
}

impl TrimHandling {
    /// The names in a file, the default first.
    pub const NAMES: &'static [&'static str] = &["pass", "hold", "ignore"];

    /// All of them, in the order of their names.
    pub const ALL: [TrimHandling; 3] =
        [TrimHandling::Pass, TrimHandling::Hold, TrimHandling::Ignore];

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        TrimHandling::NAMES[self as usize]
    }
}

//! The colours of all pictures: the palette of Okabe and Ito, which colour-blind readers can tell
//! apart.

/// Red, green and blue.
pub(crate) type Colour = (u8, u8, u8);

pub(crate) const BLUE: Colour = (0, 114, 178);
pub(crate) const ORANGE: Colour = (230, 159, 0);
pub(crate) const GREEN: Colour = (0, 158, 115);
pub(crate) const PURPLE: Colour = (204, 121, 167);
pub(crate) const SKY_BLUE: Colour = (86, 180, 233);
pub(crate) const VERMILLION: Colour = (213, 94, 0);
pub(crate) const YELLOW: Colour = (240, 228, 66);
pub(crate) const GREY: Colour = (120, 120, 120);

//! The colours of all pictures: the palette of Okabe and Ito, which colour-blind readers can tell
//! apart.

/// Red, green and blue.
pub type Colour = (u8, u8, u8);

pub const BLUE: Colour = (0, 114, 178);
pub const ORANGE: Colour = (230, 159, 0);
pub const GREEN: Colour = (0, 158, 115);
pub const PURPLE: Colour = (204, 121, 167);
pub const SKY_BLUE: Colour = (86, 180, 233);
pub const VERMILLION: Colour = (213, 94, 0);
pub const YELLOW: Colour = (240, 228, 66);
pub const GREY: Colour = (120, 120, 120);

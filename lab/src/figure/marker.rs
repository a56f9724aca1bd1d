//! The mark of one point, of a size in pixels that no scale changes.

use plotters::element::{Drawable, PointCollection};
use plotters::style::{RGBColor, ShapeStyle};
use plotters_backend::{BackendCoord, DrawingBackend, DrawingErrorKind};

/// What it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Disc,
    Triangle,
    Square,
    Diamond,
    Ring,
    Cross,
}

/// A mark at a place in any coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marker<C> {
    pub(super) at: C,
    pub(super) shape: Shape,
    pub(super) colour: RGBColor,
}

impl<'a, C> PointCollection<'a, C> for &'a Marker<C> {
    type Point = &'a C;
    type IntoIter = std::iter::Once<&'a C>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::once(&self.at)
    }
}

impl<C, DB: DrawingBackend> Drawable<DB> for Marker<C> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut places: I,
        backend: &mut DB,
        _size: (u32, u32),
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        let Some((x, y)) = places.next() else {
            return Ok(());
        };
        let around = |corners: &[(i32, i32)]| -> Vec<BackendCoord> {
            corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect()
        };
        let fill = ShapeStyle::from(&self.colour).filled();
        let line = ShapeStyle::from(&self.colour).stroke_width(2);
        match self.shape {
            Shape::Disc => backend.draw_circle((x, y), 4, &fill, true),
            Shape::Ring => backend.draw_circle((x, y), 5, &line, false),
            Shape::Square => backend.draw_rect((x - 4, y - 4), (x + 4, y + 4), &fill, true),
            Shape::Triangle => backend.fill_polygon(around(&[(-5, 4), (0, -6), (5, 4)]), &fill),
            Shape::Diamond => {
                backend.fill_polygon(around(&[(0, -6), (6, 0), (0, 6), (-6, 0)]), &fill)
            }
            Shape::Cross => {
                backend.draw_line((x - 5, y - 5), (x + 5, y + 5), &line)?;
                backend.draw_line((x - 5, y + 5), (x + 5, y - 5), &line)
            }
        }
    }
}

//! The deadlines of a lane as ticks. Where ticks would overlap, one stands for several and a note
//! says for how many; missed deadlines are always drawn, but neighbours share a mark.

use super::fill_style::{draw_met, draw_missed};
use super::time_axis::TimeAxis;
use crate::commands::simulate::svg::Svg;
use crate::commands::simulate::timeline::Deadlines;

/// The least distance of ticks.
const APART: f64 = 4.0;
/// The least distance of marks of missed deadlines.
const MARKS_APART: f64 = 9.0;

/// Draws them below `top`; returns a note if ticks stand for several deadlines.
pub(crate) fn draw_deadlines(
    svg: &mut Svg,
    top: f64,
    name: &str,
    deadlines: &[Deadlines],
    axis: &TimeAxis,
) -> Option<String> {
    let met: u64 = deadlines.iter().map(|deadline| deadline.met).sum();
    let every = thinning(deadlines, met, axis);
    let mut number = 0;
    for deadline in deadlines.iter().filter(|deadline| deadline.met > 0) {
        let before = number / every;
        number += deadline.met;
        if number / every > before {
            draw_met(svg, axis.x(deadline.at), top);
        }
    }
    let (marks, missed) = draw_all_missed(svg, top, deadlines, axis);
    let thinned = (every > 1).then(|| format!("a tick stands for {every} deadlines met"));
    let shared =
        (marks < missed).then(|| format!("{marks} triangles stand for {missed} deadlines missed"));
    let notes: Vec<String> = [thinned, shared].into_iter().flatten().collect();
    (!notes.is_empty()).then(|| format!("{name}: {}.", notes.join("; ")))
}

/// How many deadlines one tick stands for: 1, 2 or 5 times a power of ten.
fn thinning(deadlines: &[Deadlines], met: u64, axis: &TimeAxis) -> u64 {
    let (Some(first), Some(last)) = (deadlines.first(), deadlines.last()) else {
        return 1;
    };
    let room = (axis.x(last.at) - axis.x(first.at)) / APART;
    let fits = room.max(1.0);
    let mut power = 1;
    loop {
        for step in [1, 2, 5] {
            if (met / (power * step)) as f64 <= fits {
                return power * step;
            }
        }
        power *= 10;
    }
}

/// Returns how many marks were drawn, and for how many.
fn draw_all_missed(
    svg: &mut Svg,
    top: f64,
    deadlines: &[Deadlines],
    axis: &TimeAxis,
) -> (u64, u64) {
    let (mut marks, mut missed) = (0, 0);
    let mut last = f64::MIN;
    for deadline in deadlines.iter().filter(|deadline| deadline.missed > 0) {
        missed += deadline.missed;
        let x = axis.x(deadline.at);
        if x - last >= MARKS_APART {
            draw_missed(svg, x, top);
            marks += 1;
            last = x;
        }
    }
    (marks, missed)
}

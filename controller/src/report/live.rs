//! On a terminal: the moving lines below what has been told.
//!
//! The screen's width is looked at before each frame. Where it has changed, the terminal has wrapped the lines anew; they are wiped
//! by what they take up by now, and drawn afresh.
//!
//! **Invariant:** nothing moves before the walk begins, and nothing is left on the screen when it is over.

use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::screen::{Canvas, Size};

/// How often the moving lines move.
const FRAME: Duration = Duration::from_millis(100);

/// What a terminal is taken for that does not tell its size.
const SIZE: Size = Size { width: 80, height: 24 };

/// The moving lines.
pub(super) struct Live {
    terminal: Term,
    bar: Option<ProgressBar>,
    is_moving: bool,
    painted: bool,
    size: Size,
    /// How many lines were drawn.
    drawn: usize,
    drawn_at: Option<Instant>,
    frame: usize,
}

impl Live {
    pub(super) fn new(painted: bool) -> Self {
        let terminal = Term::stderr();
        Self { terminal, bar: None, is_moving: false, painted, size: SIZE, drawn: 0, drawn_at: None, frame: 0 }
    }

    /// From here on lines move.
    pub(super) fn begin(&mut self) {
        self.is_moving = true;
    }

    /// Wipes the lines; from here on none move.
    pub(super) fn end(&mut self) {
        self.is_moving = false;
        if let Some(bar) = self.bar.take() {
            self.wipe_if_resized(&bar);
            bar.finish_and_clear();
        }
    }

    /// Whether anything moves.
    pub(super) fn is_moving(&self) -> bool {
        self.is_moving
    }

    /// How long it is until the next frame.
    pub(super) fn frame_left(&self) -> Duration {
        self.drawn_at.map_or(Duration::ZERO, |drawn| FRAME.saturating_sub(drawn.elapsed()))
    }

    /// The number of the next frame.
    pub(super) fn frame(&self) -> usize {
        self.frame
    }

    /// How lines are to look now.
    pub(super) fn canvas(&self) -> Canvas {
        Canvas { size: size(&self.terminal), painted: self.painted }
    }

    /// Shows these lines in place of the last.
    pub(super) fn draw(&mut self, lines: &[String], size: Size) {
        let bar = self.bar.take().unwrap_or_else(bar);
        self.wipe_if_resized(&bar);
        (self.size, self.drawn) = (size, lines.len());
        bar.set_message(lines.join("\n"));
        bar.force_draw();
        self.step_back();
        self.bar = Some(bar);
        self.drawn_at = Some(Instant::now());
        self.frame = self.frame.wrapping_add(1);
    }

    /// Writes above the moving lines.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => {
                self.wipe_if_resized(bar);
                bar.suspend(write);
                self.step_back();
            }
            None => write(),
        }
    }

    /// Puts the cursor where an echoed ^C wraps nothing, and is drawn over by the next frame.
    fn step_back(&self) {
        let _ = self.terminal.write_str("\r");
    }

    /// To the terminal all that is drawn is one long line, full to its last column.
    fn wipe_if_resized(&self, bar: &ProgressBar) {
        let width = size(&self.terminal).width;
        if width == self.size.width || self.drawn == 0 {
            return;
        }
        let rows = rows_above(self.drawn, self.size.width, width);
        // Zero rows up would be one.
        let up = if rows > 0 { format!("\u{1b}[{rows}A") } else { String::new() };
        // Who does not see it misses nothing but a frame.
        let _ = self.terminal.write_str(&format!("{up}\r\u{1b}[J"));
        bar.set_draw_target(target());
    }
}

/// How many rows are above the cursor, which was at the beginning of the last of so many full rows of one width, in another.
fn rows_above(drawn: usize, before: usize, now: usize) -> usize {
    drawn.saturating_sub(1) * before / now.max(1)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    match ProgressStyle::with_template("{msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn target() -> ProgressDrawTarget {
    // Frames come as often as we say: none is left out.
    ProgressDrawTarget::stderr_with_hz(u8::MAX)
}

fn size(terminal: &Term) -> Size {
    let told = terminal.size_checked().filter(|(height, width)| *height > 0 && *width > 0);
    told.map_or(SIZE, |(height, width)| Size { width: width.into(), height: height.into() })
}

#[cfg(test)]
mod tests {
    use super::rows_above;

    #[test]
    fn lines_that_are_wrapped_anew_are_counted_as_they_are_wrapped() {
        assert_eq!(rows_above(3, 80, 80), 2);
        assert_eq!(rows_above(3, 80, 40), 4);
        assert_eq!(rows_above(3, 80, 79), 2);
        assert_eq!(rows_above(3, 80, 240), 0);
        assert_eq!(rows_above(0, 80, 0), 0);
    }
}

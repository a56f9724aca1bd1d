//! How many requests are looked for in one turn. Each look at an empty device costs a system call, and
//! so does each further turn: so it is about as many as came the last time, and where they come
//! one by one, that there is one more is tried more and more rarely. Whatever is left in the device
//! wakes the reactor at once.

/// Requests of one turn at most, so that others have their turn too.
const REQUESTS_MAX: usize = 64;
/// Requests that came alone between two tries for more at most, as a power of two.
const ALONE_MAX: u32 = 4;

/// What is looked for in the next turn.
#[derive(Debug)]
pub(crate) struct Appetite {
    requests: usize,
    /// How often a try found that a request was alone, one after the other.
    alone: u32,
    /// Turns without a try for more.
    content: u32,
}

impl Default for Appetite {
    fn default() -> Appetite {
        Appetite {
            requests: 1,
            alone: 0,
            content: 0,
        }
    }
}

impl Appetite {
    /// How many requests to look for.
    pub(crate) fn requests(&self) -> usize {
        self.requests
    }

    /// There were only so many.
    pub(crate) fn came_to_the_end(&mut self, count: usize) {
        self.requests = count.max(1);
        self.alone = match count {
            0 | 1 => (self.alone + 1).min(ALONE_MAX),
            _ => 0,
        };
        self.content = match self.alone {
            0 => 0,
            alone => 1 << alone,
        };
    }

    /// All that were looked for were there.
    pub(crate) fn was_satisfied(&mut self) {
        match self.content {
            0 => self.requests = (self.requests * 2).min(REQUESTS_MAX),
            _ => self.content -= 1,
        }
    }
}

#[cfg(test)]
mod tests;

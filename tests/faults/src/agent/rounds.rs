//! Counts the rounds that were survived.

use std::fmt::Display;

use crate::Outcome;

/// Maximum number of printed errors per round.
const SHOWN: usize = 8;

#[derive(Default)]
pub(crate) struct Rounds {
    /// The prefix of each printed line.
    of: String,
    tried: u64,
    lost: u64,
}

impl Rounds {
    /// Rounds whose lines begin with a name, for parallel checks.
    pub(crate) fn of(name: &str) -> Self {
        Self { of: format!("{name}: "), ..Self::default() }
    }

    /// Adds a round with its errors.
    pub(crate) fn add(&mut self, what: impl Display, wrong: Vec<String>) {
        self.tried += 1;
        self.lost += u64::from(!wrong.is_empty());
        tell(&self.of, what, &wrong);
    }

    /// Ends the count. Errors at the end count for the last round.
    pub(crate) fn end(self, wrong: Vec<String>) -> Outcome {
        tell(&self.of, "at the end", &wrong);
        let lost = if wrong.is_empty() { self.lost } else { self.lost.max(1) };
        Outcome::of(self.tried, lost)
    }
}

fn tell(of: &str, what: impl Display, wrong: &[String]) {
    for defect in wrong.iter().take(SHOWN) {
        println!("{of}{what}: {defect}");
    }
    if wrong.len() > SHOWN {
        println!("{of}{what}: and {} more", wrong.len() - SHOWN);
    }
}

//! Warnings about accepted manifests.

use crate::model::limits;

/// A bounded list of warnings. Warnings beyond the limit are only counted.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: usize,
}

impl Warnings {
    /// Adds a warning. `text` is called only if the warning is kept.
    pub(super) fn add(&mut self, text: impl FnOnce() -> String) {
        if self.kept.len() < limits::WARNINGS {
            self.kept.push(text());
        } else {
            self.more += 1;
        }
    }

    /// Returns the kept warnings, followed by the number of others if there are any.
    pub(super) fn into_texts(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more", self.more));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_beyond_the_limit_are_counted() {
        let of = |count: usize| {
            let mut warnings = Warnings::default();
            (0..count).for_each(|n| warnings.add(|| n.to_string()));
            warnings.into_texts()
        };
        assert_eq!(of(limits::WARNINGS).len(), limits::WARNINGS);
        let texts = of(limits::WARNINGS + 2);
        assert_eq!((texts.len(), texts.last().map(String::as_str)), (limits::WARNINGS + 1, Some("and 2 more")));
    }
}

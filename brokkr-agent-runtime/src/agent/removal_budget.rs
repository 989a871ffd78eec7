//! The limit of removals that no user ordered explicitly.

/// Unconfirmed removals of up to this many objects are always allowed. Above it, the limit is half of the held objects.
const BUDGET_FLOOR: usize = 100;

/// How many objects unconfirmed removals may remove in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RemovalBudget(usize);

impl RemovalBudget {
    /// Returns the budget of an agent that holds this many objects.
    pub(super) fn of_held(objects: usize) -> Self {
        Self(BUDGET_FLOOR.max(objects / 2))
    }

    /// Whether unconfirmed removals of this many objects together are allowed.
    pub(super) fn allows(self, objects: usize) -> bool {
        objects <= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_half_of_the_held_objects_and_at_least_the_floor() {
        for (held, removed, is_allowed) in [
            (0, 0, true),
            (0, 101, false),
            (100, 100, true),
            (150, 100, true),
            (150, 101, false),
            (200, 100, true),
            (201, 101, false),
            (202, 101, true),
            (1_000, 500, true),
            (1_000, 501, false),
        ] {
            assert_eq!(RemovalBudget::of_held(held).allows(removed), is_allowed, "{removed} of {held}");
        }
    }
}

//! Whole-system tests of Brokkr; they stand in `system/`.

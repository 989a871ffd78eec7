//! Brokkr.

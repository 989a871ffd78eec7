//! The findings of a hostile review of the broker, one test each. Each test fails on the behaviour that the review found.

mod environments;
mod keys;
mod load;
mod process;
mod records;
mod tenants;

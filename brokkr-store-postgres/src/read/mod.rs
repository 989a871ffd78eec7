//! The read side: one file per reader trait of the core.

mod agent;
mod assignment;
mod audit;
mod deployment_object;
mod entity;
mod event;
mod key;
mod stack;
mod stack_status;
mod target;

pub(crate) const STATEMENTS: &[&[(&str, &str)]] = &[
    agent::STATEMENTS,
    assignment::STATEMENTS,
    audit::STATEMENTS,
    deployment_object::STATEMENTS,
    entity::STATEMENTS,
    event::STATEMENTS,
    key::STATEMENTS,
    stack::STATEMENTS,
    stack_status::STATEMENTS,
    target::STATEMENTS,
];

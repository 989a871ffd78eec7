//! The revision that an agent should hold: a pure decision on facts about a stack and an agent.

mod decision;
mod facts;
mod why;

pub use decision::{Desired, decide};
pub use facts::{AgentFacts, EnvironmentFacts, Facts, Match, PairFacts, StackFacts};
pub use why::Why;

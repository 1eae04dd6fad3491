//! Models of how hallpass keeps its promises when stores and processes fail.
//!
//! Each module describes a part of the design as a state machine, small enough that a checker walks
//! through the states it can get into: every order of steps, every pause, every fault at every moment.
//! [`rules::Rule`] names what the design relies on, and [`rules::Bug`] switches one rule off each: the
//! tests assert that the design holds, and that the checker finds a broken promise for each of the bugs.
//! [`replay`] holds what a running service answered against the same rules.

#![allow(missing_docs, reason = "a step's fields are told by the step")]

pub mod accounts;
pub mod clocks;
pub mod journal;
pub mod mirrors;
pub mod replay;
pub mod rotation;
pub mod rules;

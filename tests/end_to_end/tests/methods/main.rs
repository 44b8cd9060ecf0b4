//! One suite for methods, whatever runs them: every behaviour is a test of every driver, and what can be seen of a run (exit
//! code, output, data, log) is the same for all of them, because it is compared with the same snapshot.
//!
//! `INSTA_UPDATE=always` is for runs of the in-process tests alone (`-E 'test(in_process)'`): they say what is right.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

#[macro_use]
mod driver;

mod cancellation;
mod content;
mod data;
mod escapes;
mod failures;
mod hostile;
mod places;
mod subject;
mod surroundings;
mod watched;

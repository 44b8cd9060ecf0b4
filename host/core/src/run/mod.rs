//! The way of a method run.

//! The built-in model type `command/shell`: a command of the operating system as a method.
//!
//! On the host it is not sandboxed: what it runs has the rights of whoever runs Peat, and is written by the repository's own
//! authors. The driver `container` runs it in an image.
//! It gets a small environment, its own process group, a deadline, and bounds on what it may print.

mod command;
mod executor;
mod streams;
mod type_description;

pub(crate) use command::{ShellCommand, check_model, check_run};
pub(crate) use executor::ShellExecutor;
pub(crate) use type_description::shell_type;

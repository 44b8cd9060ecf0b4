//! Lines for the log of the run. The host bounds their number and size.

pub use crate::bindings::host::peat::host::log::{Level, write};

/// A line at level trace; arguments as of `format!`.
#[macro_export]
macro_rules! trace {
    ($($arguments:tt)*) => { $crate::log::write($crate::log::Level::Trace, &::std::format!($($arguments)*)) };
}

/// A line at level debug; arguments as of `format!`.
#[macro_export]
macro_rules! debug {
    ($($arguments:tt)*) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($arguments)*)) };
}

/// A line at level info; arguments as of `format!`.
#[macro_export]
macro_rules! info {
    ($($arguments:tt)*) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($arguments)*)) };
}

/// A line at level warn; arguments as of `format!`.
#[macro_export]
macro_rules! warn {
    ($($arguments:tt)*) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($arguments)*)) };
}

/// A line at level error; arguments as of `format!`.
#[macro_export]
macro_rules! error {
    ($($arguments:tt)*) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($arguments)*)) };
}

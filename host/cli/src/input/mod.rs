//! Arguments of models and methods as people type them, made JSON by the schema they are for.

mod coercion;
mod document;

pub(crate) use coercion::assign;
pub(crate) use document::read_document;

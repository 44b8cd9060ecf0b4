//! Faults at every step: what must hold is in `tests/`.

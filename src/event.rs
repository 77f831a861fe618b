//! Everything that can happen in a run.

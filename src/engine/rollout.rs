//! Carries out what the rollout core decides.

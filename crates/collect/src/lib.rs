//! Collects what other programs say: files that grow and rotate, and what comes over the network.

pub mod net;

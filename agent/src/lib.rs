//! The witness on each host: it watches the locks of its services, hands them over when asked, and testifies.

pub mod config;
pub mod dialect;
pub mod driver;
pub mod files;
pub mod handover;
pub mod journal;
pub mod os;
pub mod probe;
pub mod procfs;
pub mod service;
pub mod store;
pub mod waiter;

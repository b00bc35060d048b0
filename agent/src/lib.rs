//! The witness on each host: it watches the locks of its services, hands them over when asked, and testifies.

pub mod config;
pub mod dialect;
pub mod hold;
pub mod os;
pub mod procfs;
pub mod service;

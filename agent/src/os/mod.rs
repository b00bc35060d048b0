//! The operating system, in safe calls: the only place that knows nix and rustix.

pub mod carried;
pub mod child;
pub mod clock;
pub mod descriptors;
pub mod ending;
pub mod family;
pub mod inotify;
pub mod lock;
pub mod memory;
pub mod notices;
pub mod process;
pub mod program;
pub mod readable;
pub mod room;
pub mod session;
pub mod signal;
pub mod socket;
pub mod wait;

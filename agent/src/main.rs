//! The `baton-agent` command.
fn main() {}

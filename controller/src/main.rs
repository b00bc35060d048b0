//! The command `baton`.

use std::env;
use std::io;
use std::process::ExitCode;

use baton::Surroundings;
use baton::args::Arguments;
use baton::outcome::Exit;
use clap::Parser as _;
use tracing::Level;
use tracing_subscriber::fmt;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let surroundings = Surroundings { home: env::home_dir(), state_home: env::var_os("XDG_STATE_HOME").map(Into::into), plain };
    let level = match arguments.global.verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        2.. => Level::DEBUG,
    };
    fmt().with_max_level(level).with_target(false).with_ansi(!plain).with_writer(io::stderr).init();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        tracing::error!("the machine gives no event loop");
        return Exit::Fault.into();
    };
    let exit = runtime.block_on(baton::run(&arguments.global, &surroundings, arguments.verb));
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    exit.into()
}

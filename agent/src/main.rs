//! The `baton-agent` command: parse, do, exit.

use std::error::Error;
use std::process::ExitCode;

use baton_agent::args::{Args, Command};
use baton_agent::dialect::TABLE;
use baton_agent::local::{self, Question};
use baton_agent::logs::{self, Habit};
use baton_agent::outcome::Exit;
use baton_agent::{hold, report, start};
use clap::Parser;

fn main() -> ExitCode {
    let Args { verbose, command } = Args::parse();
    let exit = match command {
        Command::Run(run) => {
            logs::begin(Habit::Talkative, verbose);
            start::agent(&run.config).map_or_else(|error| failed(&error, error.hint(), error.exit()), |()| Exit::Done)
        }
        Command::Dialects(dialects) => {
            report::dialects(dialects.output, &TABLE);
            Exit::Done
        }
        Command::Hold(hold) => return hold::run(hold),
        Command::Status(status) => {
            ask(verbose, &status.ask, &Question::Status { service: status.service, census: status.census })
        }
        Command::Reload(reload) => {
            let question = Question::Reload { service: reload.service, release: reload.release.unwrap_or_default() };
            ask(verbose, &reload.ask, &question)
        }
        Command::Start(start) => ask(verbose, &start.ask, &Question::Start(start.service)),
        Command::Stop(stop) => ask(verbose, &stop.ask, &Question::Stop(stop.service)),
        Command::Testimony(testimony) => {
            ask(verbose, &testimony.ask, &Question::Testimony { service: testimony.service, all: testimony.all })
        }
    };
    ExitCode::from(exit as u8)
}

fn ask(verbose: u8, ask: &baton_agent::args::Ask, question: &Question) -> Exit {
    logs::begin(Habit::Quiet, verbose);
    local::ask(ask, question).unwrap_or_else(|error| failed(&error, error.hint(), error.exit()))
}

fn failed(error: &dyn Error, hint: Option<&str>, exit: Exit) -> Exit {
    report::failure(error, hint);
    exit
}

//! A testimony in a few short lines, for whoever has to see why a law is broken.

use std::fmt::Write;

use baton_proto::custody::{Fact, FileIdentity, Image, Process, Seq, Testimony};

/// The whole testimony, a line each.
pub(crate) fn tell(testimony: &Testimony) -> String {
    let Testimony { shape, file, opened, closed, truncated, successors, .. } = testimony;
    let cut = if *truncated { ", truncated" } else { "" };
    let mut tale = format!("{shape:?}, #{} to #{}, on {}{cut}", opened.0, closed.0, of_file(*file));
    for successor in successors {
        let _ = write!(tale, "\n  {} of {} from #{}", successor.incarnation, successor.boot, successor.from.0);
    }
    for line in &testimony.observations {
        let _ = write!(tale, "\n  {:>6}  {}  {}", numbers(line.fact.began(), line.seq), line.incarnation, of_fact(&line.fact));
    }
    tale
}

fn numbers(began: Option<Seq>, seq: Seq) -> String {
    began.map_or_else(|| seq.0.to_string(), |began| format!("{}-{}", began.0, seq.0))
}

fn of_fact(fact: &Fact) -> String {
    match fact {
        Fact::Sighting(seen) => {
            let after =
                if seen.image == seen.image_after { String::new() } else { format!(", then {}", of_image(seen.image_after)) };
            format!(
                "{} {} (child of {}) runs {}{after}, holds {} mark {:x} taker {}",
                seen.role,
                of_process(seen.process),
                seen.parent,
                of_image(seen.image),
                of_file(seen.lock.file),
                seen.lock.mark & 0xFFFF,
                seen.lock.taker
            )
        }
        Fact::Absence { role, process, .. } => format!("{role} {} not found holding", of_process(*process)),
        Fact::Grant { file } => format!("granted on {}", of_file(*file)),
        Fact::Signal { process, signal } => format!("{signal} to {}", of_process(*process)),
        Fact::Readiness { ready, .. } => format!("ready: {ready}"),
        Fact::Exit { role, process } => format!("{role} {} exited", of_process(*process)),
        Fact::Workers { master, workers, .. } => {
            let workers: Vec<String> = workers.iter().map(|worker| of_process(*worker)).collect();
            format!("below {}: {}", of_process(*master), workers.join(" "))
        }
    }
}

fn of_process(process: Process) -> String {
    format!("{}@{}", process.pid, process.start_ticks)
}

fn of_file(file: FileIdentity) -> String {
    format!("{}:{}/{}", file.device, file.inode, file.born)
}

fn of_image(image: Image) -> String {
    format!("{:x}.{:02x}{:02x}", image.start_stack >> 4 & 0xFFF, image.random[0], image.random[3])
}

//! How many descriptors this process may have.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows itself as many as it may: two for each process of a service that is handed over, and a server has hundreds.
///
/// The soft limit is low for the sake of programs that call `select(2)`, which we do not (`systemd.exec(5)`, `LimitNOFILE=`).
///
/// # Errors
/// The kernel names none that could apply.
pub fn allow_all() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = getrlimit(Resource::Nofile);
        let low = limit.maximum.map(|maximum| maximum.min(900));
        setrlimit(Resource::Nofile, Rlimit { current: low, ..limit }).expect("a lower limit");
        super::allow_all().expect("as many as there may be");
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: limit.maximum, ..limit });
    }
}

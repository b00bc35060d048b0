//! HTTP load from threads of our own: every request is counted, and every failure has a name.
//!
//! **Invariant:** nothing is retried in silence. A request that was sent and not answered is a failure; only a connection that was found
//! closed in good order *before* anything was sent on it is replaced, and that is counted too.

mod client;
mod stop;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use tally::{Failure, Served, Tally};

use client::Client;
use stop::Stop;

/// The clients that each target gets.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Clients that send one request after the other on one connection.
    pub keep_alive: usize,
    /// Clients that connect anew for each request.
    pub close: usize,
    /// How long each of these waits from the start of one request to the start of the next; zero for as fast as answers come.
    pub pace: Duration,
    /// Clients whose requests take long, one after the other on new connections.
    pub long: usize,
    /// How long these take.
    pub long_for: Duration,
}

impl Default for Mix {
    /// About a hundred requests a second on each target, half of them on kept connections.
    fn default() -> Self {
        Self { keep_alive: 2, close: 2, pace: Duration::from_millis(40), long: 0, long_for: Duration::ZERO }
    }
}

/// Load that runs until it is stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<Stop>,
    clients: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Starts the clients of `mix` on each target.
    pub fn start(targets: &[SocketAddr], mix: Mix) -> Self {
        let stop = Arc::new(Stop::default());
        let clients = targets.iter().flat_map(|target| clients(*target, mix)).map(|client| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || client.run(&stop))
        });
        Self { clients: clients.collect(), stop }
    }

    /// How many requests were served and how many failed until now.
    pub fn so_far(&self) -> (u64, u64) {
        self.stop.so_far()
    }

    /// Lets requests under way finish, and adds everything up.
    ///
    /// # Panics
    /// When a client panicked.
    pub fn stop(mut self) -> Tally {
        self.stop.pull();
        let mut total = Tally::default();
        for client in self.clients.drain(..) {
            total.add(client.join().expect("a client does not panic"));
        }
        total
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.pull();
    }
}

fn clients(target: SocketAddr, mix: Mix) -> Vec<Client> {
    let quick = |keep_alive| move |_| Client::new(target, "/".to_owned(), keep_alive, mix.pace);
    let path = format!("/slow?ms={}", mix.long_for.as_millis());
    let long = |_| Client::new(target, path.clone(), false, Duration::ZERO);
    let keep_alive = (0..mix.keep_alive).map(quick(true));
    keep_alive.chain((0..mix.close).map(quick(false))).chain((0..mix.long).map(long)).collect()
}

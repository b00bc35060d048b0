//! A relay between the controller and an agent, by which a connection is made slow, deaf in one direction, or cut.
//!
//! ```text
//! controller ══▶ accepts ── pump: reads, waits for the gate of its way, writes ──▶ agent
//!            ◀══────────── pump ◀────────────────────────────────────────────────
//! ```
//!
//! What is held is kept in order and delivered when the relay goes on: a connection over TLS does not survive bytes that are missing.
//!
//! **Invariant:** while a way is held both ends see their connection as open, and the kernels on both sides acknowledge: only a deadline
//! of whoever waits can find out.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock;

const CHUNK: usize = 16 * 1024;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the controller to the agent.
    ToAgent,
    /// From the agent to the controller.
    ToController,
}

/// A running relay. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    listener: TcpListener,
    gates: Arc<Gates>,
}

/// What the pumps of a relay go by.
#[derive(Debug, Default)]
struct Gates {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    delay: Duration,
    holds_to_agent: bool,
    holds_to_controller: bool,
    is_over: bool,
    /// Both ends of each connection that was ever accepted.
    ends: Vec<TcpStream>,
    accepted: usize,
}

impl State {
    fn holds(&self, way: Way) -> bool {
        match way {
            Way::ToAgent => self.holds_to_agent,
            Way::ToController => self.holds_to_controller,
        }
    }

    fn cut(&mut self) {
        for end in self.ends.drain(..) {
            // The other side may have closed it already.
            let _closed = end.shutdown(Shutdown::Both);
        }
    }
}

impl Gates {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until what arrived just now may pass; false when the relay is over.
    fn await_passage(&self, way: Way) -> bool {
        let arrived = clock::now();
        let mut state = self.lock();
        while !state.is_over {
            let left = (arrived + state.delay).saturating_duration_since(clock::now());
            if state.holds(way) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else if left.is_zero() {
                return true;
            } else {
                (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            }
        }
        false
    }
}

impl Relay {
    /// Starts to relay from a port of `listen` to `agent`, in the namespace of whoever calls.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(listen: Ipv4Addr, agent: SocketAddr) -> Self {
        let listener = TcpListener::bind((listen, 0)).expect("an address of our own has free ports");
        let address = listener.local_addr().expect("a listener has an address");
        let gates = Arc::new(Gates::default());
        let theirs = Arc::clone(&gates);
        let accepting = listener.try_clone().expect("a listener can be duplicated");
        thread::spawn(move || accept(&accepting, agent, &theirs));
        Self { address, listener, gates }
    }

    /// Where the controller dials.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has taken.
    pub fn accepted(&self) -> usize {
        self.gates.lock().accepted
    }

    /// From now on everything arrives so much later.
    pub fn delay(&self, delay: Duration) {
        self.gates.change(|state| state.delay = delay);
    }

    /// From now on nothing arrives on this way, and nobody is told.
    pub fn hold(&self, way: Way) {
        self.gates.change(|state| match way {
            Way::ToAgent => state.holds_to_agent = true,
            Way::ToController => state.holds_to_controller = true,
        });
    }

    /// What was held arrives, and everything else again at once.
    pub fn go_on(&self) {
        self.gates.change(|state| {
            state.holds_to_agent = false;
            state.holds_to_controller = false;
            state.delay = Duration::ZERO;
        });
    }

    /// Closes all connections; new ones are taken.
    pub fn cut(&self) {
        self.gates.change(State::cut);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.gates.change(|state| {
            state.is_over = true;
            state.cut();
        });
        // Whoever waits for a connection wakes; there is nobody else to tell.
        let _woken = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
    }
}

/// Takes connections until the relay is over; whoever comes then is let go again.
fn accept(listener: &TcpListener, agent: SocketAddr, gates: &Arc<Gates>) {
    for controller in listener.incoming() {
        if gates.lock().is_over {
            return;
        }
        // An agent that is not there is one that does not take the connection.
        let _refused = controller.and_then(|controller| connect(controller, agent, gates));
    }
}

fn connect(controller: TcpStream, agent: SocketAddr, gates: &Arc<Gates>) -> io::Result<()> {
    let agent = TcpStream::connect_timeout(&agent, Duration::from_secs(2))?;
    agent.set_nodelay(true)?;
    controller.set_nodelay(true)?;
    let kept = [controller.try_clone()?, agent.try_clone()?];
    gates.change(|state| {
        state.accepted += 1;
        state.ends.extend(kept);
    });
    for (way, from, to) in [(Way::ToAgent, controller.try_clone()?, agent.try_clone()?), (Way::ToController, agent, controller)] {
        let gates = Arc::clone(gates);
        thread::spawn(move || pump(way, from, to, &gates));
    }
    Ok(())
}

/// One direction of one connection, to its end.
fn pump(way: Way, mut from: TcpStream, mut to: TcpStream, gates: &Gates) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if !gates.await_passage(way) || to.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    // The end of a way is held like everything else on it.
    gates.await_passage(way);
    let _closed = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use super::{Relay, Way};
    use crate::clock;

    const SOON: Duration = Duration::from_millis(100);

    /// Answers what it is told with the same.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            }
        });
        address
    }

    fn relayed() -> (Relay, TcpStream) {
        let relay = Relay::start(Ipv4Addr::LOCALHOST, echo());
        let stream = TcpStream::connect(relay.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        (relay, stream)
    }

    fn answer(stream: &mut TcpStream) -> Result<u8, ErrorKind> {
        let mut byte = [0];
        stream.read_exact(&mut byte).map(|()| byte[0]).map_err(|error| error.kind())
    }

    #[test]
    fn what_is_held_on_either_way_arrives_in_order_when_it_goes_on() {
        for way in [Way::ToAgent, Way::ToController] {
            let (relay, mut stream) = relayed();
            relay.hold(way);
            stream.write_all(b"ab").unwrap();
            assert_eq!(answer(&mut stream), Err(ErrorKind::WouldBlock), "{way:?}");
            relay.go_on();
            assert_eq!((answer(&mut stream), answer(&mut stream)), (Ok(b'a'), Ok(b'b')), "{way:?}");
        }
    }

    #[test]
    fn what_is_delayed_arrives_later() {
        let (relay, mut stream) = relayed();
        relay.delay(Duration::from_millis(30));
        let asked = clock::now();
        stream.write_all(b"a").unwrap();
        assert_eq!(answer(&mut stream), Ok(b'a'));
        assert!(clock::now() - asked >= Duration::from_millis(60), "it is delayed both ways");
    }

    #[test]
    fn what_is_cut_ends_and_a_new_connection_is_taken() {
        let (relay, mut stream) = relayed();
        stream.write_all(b"a").unwrap();
        assert_eq!(answer(&mut stream), Ok(b'a'));
        relay.cut();
        assert_eq!(answer(&mut stream), Err(ErrorKind::UnexpectedEof));
        assert_eq!(relay.accepted(), 1);
    }
}

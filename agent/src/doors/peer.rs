//! Who is at the other end of a connection.

use std::fmt;
use std::net::SocketAddr;

use baton_proto::identity::{Identity, Role};

/// Who is at the other end of a connection, found out once, when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A certificate of our fleet, over TCP.
    Remote {
        /// Who the certificate is.
        identity: Identity,
        /// Where it called from.
        address: SocketAddr,
    },
    /// Root or the agent's own user, over the unix socket.
    Local {
        /// The user.
        uid: u32,
    },
    /// Another user, over the unix socket: may do nothing, and is told so.
    Stranger {
        /// The user.
        uid: u32,
        /// The agent's own.
        own: u32,
    },
}

impl Peer {
    /// Who calls over the unix socket of an agent that runs as `own`.
    pub(super) fn local(uid: u32, own: u32) -> Self {
        if uid == 0 || uid == own { Self::Local { uid } } else { Self::Stranger { uid, own } }
    }

    /// What the peer may do: whoever is local and no stranger is an operator.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Remote { identity, .. } => Some(identity.role),
            Self::Local { .. } => Some(Role::Operator),
            Self::Stranger { .. } => None,
        }
    }

    /// The name by which people know the peer: the one in its certificate, or its user.
    pub fn name(&self) -> String {
        match self {
            Self::Remote { identity, .. } => identity.name.clone(),
            Self::Local { uid } | Self::Stranger { uid, .. } => format!("uid {uid}"),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote { identity, address } => write!(f, "{identity} at {address}"),
            Self::Local { uid } | Self::Stranger { uid, .. } => write!(f, "uid {uid} on the unix socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Peer;
    use baton_proto::identity::Role;

    #[test]
    fn root_and_the_own_user_are_operators_and_nobody_else_is() {
        for (uid, own, role) in [
            (0, 0, Some(Role::Operator)),
            (0, 500, Some(Role::Operator)),
            (500, 500, Some(Role::Operator)),
            (501, 500, None),
            (500, 0, None),
        ] {
            assert_eq!(Peer::local(uid, own).role(), role, "{uid} at an agent of {own}");
        }
    }
}

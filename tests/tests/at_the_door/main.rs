//! Who is turned away at the door, on either side of it: exit code, cause and next step are told, nothing has changed, and
//! everybody who may come in still can.

mod caller;
mod certificate;
mod credentials;
mod doorstep;
mod facts;
mod host;
mod inventory;
mod listener;

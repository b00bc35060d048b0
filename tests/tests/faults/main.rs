//! Each fault of the patient, and each hole that a proof of custody could have: the verdict, its reason, the exit code, and
//! whether the service went on.

mod boot;
mod holes;
mod in_place;
mod leave;
mod lock_file;
mod serve;
mod trial;

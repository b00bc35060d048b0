//! The matrix: every server that the harness knows, with everything that befalls servers, and the table in the README that is made of it.
//!
//! - [`case`]: the servers; to add one is to add one of these, a test below and a line in the README
//! - [`reloads`]: five reloads under load, by Baton and by hand
//! - [`broken`]: a release that does not come to serve
//! - [`killed`]: `kill -9` outside of a handover, and the orphans that it leaves
//! - [`midway`]: `kill -9` and somebody else's signal in the middle of a handover
//! - [`row`]: what was seen, in the words of the README
//! - [`stage`], [`request`]: one host with such a server and the ledger of its lock; a request that is in flight
//!
//! What holds for each server is asserted where it is seen. What differs between them is the row in the README: a test that sees
//! something else prints the row that it wants.

mod broken;
mod case;
mod killed;
mod midway;
mod reloads;
mod request;
mod row;
mod stage;

use case::{ByHand, Case};

#[test]
fn unicorn_is_as_the_readme_says() {
    row::is_in_the_readme(&case::UNICORN);
}

#[test]
fn unicorn_without_preload_is_as_the_readme_says() {
    row::is_in_the_readme(&case::UNICORN_LAZY);
}

#[test]
fn gunicorn_is_as_the_readme_says() {
    row::is_in_the_readme(&case::GUNICORN);
}

#[test]
fn gunicorn_in_place_is_as_the_readme_says() {
    row::is_in_the_readme(&case::GUNICORN_HUP);
}

#[test]
fn puma_is_as_the_readme_says() {
    row::is_in_the_readme(&case::PUMA);
}

#[test]
fn puma_one_worker_after_the_other_is_as_the_readme_says() {
    row::is_in_the_readme(&case::PUMA_PHASED);
}

#[test]
fn nginx_is_as_the_readme_says() {
    row::is_in_the_readme(&case::NGINX);
}

#[test]
fn nginx_that_is_upgraded_is_as_the_readme_says() {
    row::is_in_the_readme(&case::NGINX_UPGRADE);
}

#[test]
fn haproxy_is_as_the_readme_says() {
    row::is_in_the_readme(&case::HAPROXY);
}

#[test]
fn php_fpm_is_as_the_readme_says() {
    row::is_in_the_readme(&case::PHP_FPM);
}

#[test]
fn uwsgi_is_as_the_readme_says() {
    row::is_in_the_readme(&case::UWSGI);
}

#[test]
fn a_server_that_the_configuration_describes_is_as_the_readme_says() {
    row::is_in_the_readme(&case::GENERIC);
}

#[test]
fn the_readme_has_a_row_for_each_of_them_and_no_other() {
    assert_eq!(row::names_in_the_readme(), case::ALL.map(|case| case.name));
}

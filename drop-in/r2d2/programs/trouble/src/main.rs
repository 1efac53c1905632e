//! `diesel-trouble <url> <case>`: prints the measurements, one metric per line.

use std::env;

fn main() -> Result<(), diesel_trouble::Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    diesel_trouble::run(&arguments)
}

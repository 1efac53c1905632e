//! `diesel-trouble <url> <case>`: prints what was measured, one metric in each line.

use std::env;

fn main() -> Result<(), diesel_trouble::Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    diesel_trouble::run(&arguments)
}

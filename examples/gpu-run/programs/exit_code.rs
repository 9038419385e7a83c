//! uses: process::exit, ExitCode, destructors that do not run
//! args: 0
//! args: 3
//! args: 100 now
use std::process::{exit, ExitCode};

struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        println!("dropped");
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let code: u8 = words[1].parse().unwrap();
    let _loud = Loud;
    if words.len() > 2 {
        exit(code.into());
    }
    println!("returns {code}");
    ExitCode::from(code)
}

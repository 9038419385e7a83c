//! uses: thread::sleep, yield_now
//! args: 1
//! args: 20
use std::time::{Duration, Instant};

fn main() {
    let time = Duration::from_millis(std::env::args().nth(1).unwrap().parse().unwrap());
    let begin = Instant::now();
    std::thread::sleep(time);
    std::thread::yield_now();
    println!("slept at least {time:?}: {}", begin.elapsed() >= time);
}

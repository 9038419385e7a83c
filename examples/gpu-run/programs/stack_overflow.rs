//! uses: recursion without an end, in one lane
//! args: 10
//! args: 1000000
//! args: 20
use std::hint::black_box;

fn deep(n: u32) -> u64 {
    let held = black_box([u64::from(n); 8]);
    if n == 0 { held[7] } else { deep(n - 1) + held[(n % 8) as usize] }
}

fn main() {
    println!("{}", deep(std::env::args().nth(1).unwrap().parse().unwrap()));
}

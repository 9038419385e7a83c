//! uses: BTreeMap, BTreeSet, ranges, split_off
//! args: 7
//! args: 40
use std::collections::{BTreeMap, BTreeSet};

fn main() {
    let n: u32 = std::env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let mut squares = BTreeMap::new();
    for i in 0..n {
        squares.insert(i * i % 101, i);
    }
    println!("{} keys, first {:?}, last {:?}", squares.len(), squares.first_key_value(), squares.last_key_value());
    for (key, value) in squares.range(10..50) {
        print!("{key}:{value} ");
    }
    println!();
    let high = squares.split_off(&60);
    println!("{} below 60, {} from 60 on", squares.len(), high.len());
    let odd: BTreeSet<u32> = squares.keys().filter(|key| *key % 2 == 1).copied().collect();
    let by_three: BTreeSet<u32> = (0..100).step_by(3).collect();
    println!("{:?}", odd.intersection(&by_three).collect::<Vec<_>>());
    println!("{:?}", odd.difference(&by_three).take(4).collect::<Vec<_>>());
}

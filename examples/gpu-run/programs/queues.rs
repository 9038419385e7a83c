//! uses: VecDeque, BinaryHeap, Reverse
//! args: 3 1 4 1 5 9 2 6
//! args: 10 30 20
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

fn main() {
    let numbers: Vec<i32> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let mut queue: VecDeque<i32> = numbers.iter().copied().collect();
    queue.rotate_left(1);
    queue.push_front(-1);
    while let Some(last) = queue.pop_back() {
        print!("{last} ");
        if let Some(first) = queue.pop_front() {
            print!("{first} ");
        }
    }
    println!();
    let mut largest: BinaryHeap<i32> = numbers.iter().copied().collect();
    let mut smallest: BinaryHeap<Reverse<i32>> = numbers.into_iter().map(Reverse).collect();
    println!("{:?} {:?}", largest.pop(), smallest.pop().map(|each| each.0));
    println!("{:?}", largest.into_sorted_vec());
}

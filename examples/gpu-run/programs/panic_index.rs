//! uses: a panic: an index that is out of bounds
//! args: 2
//! args: 3
fn main() {
    let numbers = [10, 20, 30];
    let at: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    println!("before");
    println!("{}", numbers[at]);
}

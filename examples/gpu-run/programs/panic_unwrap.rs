//! uses: a panic: expect of an Err, after output that was not flushed
//! args: 5
//! args: five
fn main() {
    print!("half a line, ");
    let number: i32 = std::env::args().nth(1).unwrap().parse().expect("a number as argument");
    println!("{number}");
}

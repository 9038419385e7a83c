//! uses: println, eprintln
fn main() {
    println!("Hello, world!");
    eprintln!("and a line for standard error");
}

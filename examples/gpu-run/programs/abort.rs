//! uses: process::abort
//! args: stay
//! args: go
fn main() {
    println!("before");
    if std::env::args().nth(1).unwrap() == "go" {
        std::process::abort();
    }
    println!("after");
}

//! uses: panics: division by zero, overflow, a borrow that is taken, unreachable
//! args: div 4 0
//! args: div 9 2
//! args: add 2147483647 1
//! args: borrow 0 0
//! args: other 0 0
use std::cell::RefCell;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let (a, b): (i32, i32) = (words[2].parse().unwrap(), words[3].parse().unwrap());
    let found = match words[1].as_str() {
        "div" => a / b,
        "add" => a.checked_add(b).expect("no overflow"),
        "borrow" => {
            let cell = RefCell::new(a);
            let _held = cell.borrow_mut();
            let again = *cell.borrow();
            again
        }
        _ => unreachable!("no such operation"),
    };
    println!("{found}");
}

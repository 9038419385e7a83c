//! uses: panic::set_hook, PanicHookInfo, a panic with a payload
//! args: quiet
//! args: loud
use std::panic;

fn main() {
    panic::set_hook(Box::new(|info| {
        let words = info.payload().downcast_ref::<String>().cloned().unwrap_or_default();
        println!("the hook saw: {words}, line {}", info.location().map_or(0, |place| place.line()));
    }));
    let given = std::env::args().nth(1).unwrap();
    if given == "loud" {
        panic!("too {given}");
    }
    let _ = panic::take_hook();
    println!("fine");
}

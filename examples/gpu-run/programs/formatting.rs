//! uses: width, precision, sign, radix, padding, named arguments, Debug and Display
use std::fmt;

#[derive(Debug, Default)]
#[allow(dead_code)]
struct Point {
    x: i32,
    y: i32,
    label: Option<&'static str>,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("({}, {})", self.x, self.y))
    }
}

fn main() {
    let point = Point { x: 3, y: -4, label: Some("p") };
    println!("[{point:>12}] [{point:<12}] [{point:^12}] [{point:*^12}]");
    println!("{point:?} {:?}", Point::default());
    println!("{point:#?}");
    let (number, width) = (48879, 12);
    println!("{number:#x} {number:#010b} {number:o} {number:X} {number:+} {number:0>width$}");
    println!("{0} {1} {0} {name}", 1, 2, name = "named");
    println!("{:?} {:?} {:?}", 'q', "a \"quote\" and \n", [Some(1u8), None]);
    println!("{:5}|{:<5}|{:^5}|{:>5}|{:05}", 42, 42, 42, 42, -42);
    println!("{}", format_args!("{:?}", (1, "two", ())));
}

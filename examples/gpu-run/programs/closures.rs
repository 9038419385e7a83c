//! uses: Fn, FnMut, FnOnce, boxed and returned closures, function pointers
//! args: 5
fn twice(f: impl Fn(i32) -> i32) -> impl Fn(i32) -> i32 {
    move |x| f(f(x))
}

fn compose(all: Vec<Box<dyn Fn(i32) -> i32>>) -> Box<dyn Fn(i32) -> i32> {
    Box::new(move |x| all.iter().fold(x, |value, f| f(value)))
}

fn double(x: i32) -> i32 {
    2 * x
}

fn main() {
    let n: i32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut calls = 0;
    let mut counted = |x: i32| {
        calls += 1;
        x + n
    };
    println!("{} {}", counted(1), counted(2));
    println!("{calls} calls");
    println!("{} {}", twice(move |x| x * n)(3), twice(twice(double))(1));
    let table: [(&str, fn(i32) -> i32); 3] = [("double", double), ("negate", |x| -x), ("square", |x| x * x)];
    for (name, f) in table {
        print!("{name} {} ", f(n));
    }
    println!();
    let steps: Vec<Box<dyn Fn(i32) -> i32>> = (1..4).map(|by| Box::new(move |x| x * by + n) as _).collect();
    println!("{}", compose(steps)(1));
    let text = String::from("moved");
    let once: Box<dyn FnOnce() -> usize> = Box::new(move || text.into_bytes().len());
    println!("{}", once());
}

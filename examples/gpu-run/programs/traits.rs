//! uses: Box of dyn Trait, default methods, supertraits, generics, Drop's order, Any
//! args: 2
use std::any::Any;
use std::fmt::Debug;

trait Shape: Debug {
    fn area(&self) -> i64;
    fn name(&self) -> String {
        format!("{self:?}")
    }
    fn as_any(&self) -> &dyn Any;
}

#[derive(Debug)]
struct Square(i64);
#[derive(Debug)]
struct Box2 {
    w: i64,
    h: i64,
}

impl Shape for Square {
    fn area(&self) -> i64 {
        self.0 * self.0
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Shape for Box2 {
    fn area(&self) -> i64 {
        self.w * self.h
    }
    fn name(&self) -> String {
        "a box".into()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Noisy<T: Debug>(T);

impl<T: Debug> Drop for Noisy<T> {
    fn drop(&mut self) {
        println!("drop {:?}", self.0);
    }
}

fn largest<'a>(shapes: &'a [Box<dyn Shape>]) -> Option<&'a dyn Shape> {
    shapes.iter().map(|shape| shape.as_ref()).max_by_key(|shape| shape.area())
}

fn main() {
    let n: i64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Square(n)), Box::new(Box2 { w: n, h: 7 }), Box::new(Square(3))];
    for shape in &shapes {
        println!("{} {} {}", shape.name(), shape.area(), shape.as_any().is::<Square>());
    }
    println!("{:?}", largest(&shapes));
    let _first = Noisy("first");
    let second = Noisy(vec![1, 2]);
    drop(second);
    let _third = Noisy(3.5);
}

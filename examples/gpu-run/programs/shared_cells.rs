//! uses: Rc, Weak, RefCell, Cell, a tree with parents
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

struct Node {
    name: String,
    visits: Cell<u32>,
    parent: RefCell<Weak<Node>>,
    children: RefCell<Vec<Rc<Node>>>,
}

fn node(name: &str, children: Vec<Rc<Node>>) -> Rc<Node> {
    let made = Rc::new(Node {
        name: name.to_string(),
        visits: Cell::new(0),
        parent: RefCell::new(Weak::new()),
        children: RefCell::new(children),
    });
    for child in made.children.borrow().iter() {
        *child.parent.borrow_mut() = Rc::downgrade(&made);
    }
    made
}

fn path(node: &Rc<Node>) -> String {
    node.visits.set(node.visits.get() + 1);
    match node.parent.borrow().upgrade() {
        Some(parent) => format!("{}/{}", path(&parent), node.name),
        None => node.name.clone(),
    }
}

fn main() {
    let leaf = node("leaf", vec![]);
    let root = node("root", vec![node("branch", vec![leaf.clone(), node("other", vec![])])]);
    println!("{} {}", path(&leaf), path(&root.children.borrow()[0]));
    println!("{} {} {}", root.visits.get(), Rc::strong_count(&leaf), Rc::weak_count(&root));
    let held = root.children.borrow_mut();
    println!("{} {}", root.children.try_borrow().is_err(), root.children.try_borrow_mut().is_err());
    drop(held);
    drop(root);
    println!("{} {}", path(&leaf), leaf.parent.borrow().upgrade().is_none());
}

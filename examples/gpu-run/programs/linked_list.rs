//! uses: Option<Box<Node>>, take, as_mut, mem::replace, IntoIterator for a type of its own
//! args: x y z
struct Node {
    value: String,
    next: Option<Box<Node>>,
}

#[derive(Default)]
struct List(Option<Box<Node>>);

impl List {
    fn push(&mut self, value: String) {
        self.0 = Some(Box::new(Node { value, next: self.0.take() }));
    }

    fn reverse(&mut self) {
        let (mut from, mut to) = (self.0.take(), None);
        while let Some(mut node) = from {
            from = std::mem::replace(&mut node.next, to);
            to = Some(node);
        }
        self.0 = to;
    }

    fn append(&mut self, value: &str) {
        let mut at = &mut self.0;
        while let Some(node) = at {
            at = &mut node.next;
        }
        *at = Some(Box::new(Node { value: value.into(), next: None }));
    }
}

struct Iter<'a>(Option<&'a Node>);

impl<'a> Iterator for Iter<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        let node = self.0?;
        self.0 = node.next.as_deref();
        Some(&node.value)
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = &'a str;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        Iter(self.0.as_deref())
    }
}

fn main() {
    let mut list = List::default();
    std::env::args().skip(1).for_each(|word| list.push(word));
    list.append("end");
    println!("{}", list.into_iter().collect::<Vec<_>>().join(" -> "));
    list.reverse();
    for word in &list {
        print!("{word} ");
    }
    println!();
}

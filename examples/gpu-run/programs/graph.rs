//! uses: Dijkstra with BinaryHeap, adjacency in HashMap, Option chains
//! args: a f
//! args: f a
//! args: c b
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut edges: HashMap<&str, Vec<(&str, u32)>> = HashMap::new();
    for (from, to, cost) in [("a", "b", 7), ("a", "c", 3), ("c", "b", 1), ("b", "d", 2), ("d", "f", 5), ("c", "e", 9), ("e", "f", 1)] {
        edges.entry(from).or_default().push((to, cost));
    }
    let (from, to) = (words[0].as_str(), words[1].as_str());
    let mut best: HashMap<&str, (u32, &str)> = HashMap::from([(from, (0, from))]);
    let mut heap = BinaryHeap::from([Reverse((0, from))]);
    while let Some(Reverse((cost, at))) = heap.pop() {
        for &(next, more) in edges.get(at).into_iter().flatten() {
            let total = cost + more;
            if best.get(next).map_or(true, |(known, _)| total < *known) {
                best.insert(next, (total, at));
                heap.push(Reverse((total, next)));
            }
        }
    }
    let Some((cost, _)) = best.get(to) else { return println!("no way from {from} to {to}") };
    let mut path = vec![to];
    while let Some((_, before)) = best.get(path[path.len() - 1]).filter(|_| path[path.len() - 1] != from) {
        path.push(before);
    }
    path.reverse();
    println!("{} costs {cost}", path.join(" "));
}

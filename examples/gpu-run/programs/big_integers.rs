//! uses: Vec<u32> as a number, operators on a type of its own, carry chains
//! args: 30
//! args: 100
use std::fmt;
use std::ops::{Add, MulAssign};

#[derive(Clone, PartialEq, Eq)]
struct Big(Vec<u32>);

impl MulAssign<u32> for Big {
    fn mul_assign(&mut self, by: u32) {
        let mut carry = 0;
        for digit in &mut self.0 {
            let product = u64::from(*digit) * u64::from(by) + carry;
            *digit = product as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }
}

impl Add for &Big {
    type Output = Big;
    fn add(self, other: &Big) -> Big {
        let (mut sum, mut carry) = (Vec::new(), false);
        for i in 0..self.0.len().max(other.0.len()) {
            let at = |number: &Big| number.0.get(i).copied().unwrap_or(0);
            let (first, one) = at(self).overflowing_add(at(other));
            let (second, two) = first.overflowing_add(carry.into());
            sum.push(second);
            carry = one || two;
        }
        if carry {
            sum.push(1);
        }
        Big(sum)
    }
}

impl fmt::Display for Big {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut left, mut parts) = (self.0.clone(), Vec::new());
        while left.iter().any(|digit| *digit != 0) {
            let mut rest = 0u64;
            for digit in left.iter_mut().rev() {
                let now = rest << 32 | u64::from(*digit);
                *digit = (now / 1_000_000_000) as u32;
                rest = now % 1_000_000_000;
            }
            parts.push(rest);
        }
        write!(f, "{}", parts.pop().unwrap_or(0))?;
        parts.iter().rev().try_for_each(|part| write!(f, "{part:09}"))
    }
}

fn main() {
    let n: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut product = Big(vec![1]);
    (2..=n).for_each(|i| product *= i);
    println!("{n}! = {product}");
    let (mut a, mut b) = (Big(vec![0]), Big(vec![1]));
    for _ in 0..n {
        (a, b) = (b.clone(), &a + &b);
    }
    println!("fib({n}) = {a}");
}

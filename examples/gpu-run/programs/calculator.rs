//! uses: recursive descent, Box in an enum, slice patterns, i64 with checks
//! args: "1 + 2 * (3 - 4) * -5"
//! args: "(8 / 2) % 3"
//! args: "7 / (2 - 2)"
//! args: "2 +"
#[derive(Debug)]
enum Term {
    Number(i64),
    Negative(Box<Term>),
    Binary(char, Box<Term>, Box<Term>),
}

type Found<'a> = Result<(Term, &'a [char]), String>;

fn sum(text: &[char]) -> Found {
    let (mut left, mut rest) = product(text)?;
    while let [op @ ('+' | '-'), after @ ..] = rest {
        let (right, further) = product(after)?;
        (left, rest) = (Term::Binary(*op, left.into(), right.into()), further);
    }
    Ok((left, rest))
}

fn product(text: &[char]) -> Found {
    let (mut left, mut rest) = unit(text)?;
    while let [op @ ('*' | '/' | '%'), after @ ..] = rest {
        let (right, further) = unit(after)?;
        (left, rest) = (Term::Binary(*op, left.into(), right.into()), further);
    }
    Ok((left, rest))
}

fn unit(text: &[char]) -> Found {
    match text {
        ['-', rest @ ..] => unit(rest).map(|(term, rest)| (Term::Negative(term.into()), rest)),
        ['(', rest @ ..] => match sum(rest)? {
            (term, [')', rest @ ..]) => Ok((term, rest)),
            (_, rest) => Err(format!("')' is missing at {rest:?}")),
        },
        [digit, ..] if digit.is_ascii_digit() => {
            let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
            let number = text[..end].iter().fold(0, |sum, c| sum * 10 + i64::from(*c as u8 - b'0'));
            Ok((Term::Number(number), &text[end..]))
        }
        rest => Err(format!("a number is missing at {rest:?}")),
    }
}

fn value(term: &Term) -> Option<i64> {
    match term {
        Term::Number(number) => Some(*number),
        Term::Negative(term) => value(term)?.checked_neg(),
        Term::Binary(op, left, right) => {
            let (a, b) = (value(left)?, value(right)?);
            match op {
                '+' => a.checked_add(b),
                '-' => a.checked_sub(b),
                '*' => a.checked_mul(b),
                '/' => a.checked_div(b),
                _ => a.checked_rem(b),
            }
        }
    }
}

fn main() {
    let text: Vec<char> = std::env::args().nth(1).unwrap().chars().filter(|c| *c != ' ').collect();
    match sum(&text) {
        Ok((term, [])) => println!("{term:?}\n{:?}", value(&term)),
        Ok((_, rest)) => println!("{rest:?} is left"),
        Err(error) => println!("{error}"),
    }
}

//! uses: an Error of its own, From, the question mark, Box of dyn Error, source, main's result
//! args: 12
//! args: -3
//! args: seven
//! args:
use std::error::Error;
use std::fmt;

#[derive(Debug)]
enum Fault {
    Missing,
    Number(std::num::ParseIntError),
    Negative(i32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing => write!(f, "an argument is missing"),
            Fault::Number(_) => write!(f, "that is not a number"),
            Fault::Negative(number) => write!(f, "{number} has no root"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Fault::Number(error) => Some(error),
            _ => None,
        }
    }
}

impl From<std::num::ParseIntError> for Fault {
    fn from(error: std::num::ParseIntError) -> Self {
        Fault::Number(error)
    }
}

fn root(text: Option<String>) -> Result<i32, Fault> {
    let number: i32 = text.ok_or(Fault::Missing)?.parse()?;
    if number < 0 {
        return Err(Fault::Negative(number));
    }
    Ok((0..).take_while(|root| root * root <= number).last().unwrap())
}

fn main() -> Result<(), Box<dyn Error>> {
    let found = root(std::env::args().nth(1)).map_err(|fault| {
        println!("{fault}, because of {:?}", fault.source().map(ToString::to_string));
        fault
    })?;
    println!("root {found}");
    Ok(())
}

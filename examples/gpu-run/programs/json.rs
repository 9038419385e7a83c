//! uses: an enum that holds itself, a parser and a printer of JSON, BTreeMap, Peekable<Chars>
//! args: '{"name": "lane", "list": [1, -2.5, true, null], "nested": {"a": {}}}'
//! args: '[1, 2'
//! args: '"a\nb"'
use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

struct Parser<'a>(Peekable<Chars<'a>>);

impl Parser<'_> {
    fn space(&mut self) {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        self.space();
        match self.0.next() {
            Some(c) if c == wanted => Ok(()),
            Some(c) => Err(format!("{wanted:?} is wanted, not {c:?}")),
            None => Err(format!("{wanted:?} is wanted, not the end")),
        }
    }

    fn word(&mut self) -> String {
        std::iter::from_fn(|| self.0.next_if(|c| c.is_alphanumeric() || "+-.".contains(*c))).collect()
    }

    fn text(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut found = String::new();
        loop {
            match self.0.next().ok_or("a text does not end")? {
                '"' => return Ok(found),
                '\\' => found.push(match self.0.next().ok_or("a text does not end")? {
                    'n' => '\n',
                    't' => '\t',
                    c => c,
                }),
                c => found.push(c),
            }
        }
    }

    fn separator(&mut self, end: char) -> Result<bool, String> {
        self.space();
        if self.0.next_if_eq(&',').is_some() {
            return Ok(true);
        }
        self.expect(end).map(|()| false)
    }

    fn value(&mut self) -> Result<Json, String> {
        self.space();
        match self.0.peek() {
            Some('"') => Ok(Json::Text(self.text()?)),
            Some('[') => {
                self.0.next();
                let mut list = Vec::new();
                self.space();
                if self.0.next_if_eq(&']').is_none() {
                    loop {
                        list.push(self.value()?);
                        if !self.separator(']')? {
                            break;
                        }
                    }
                }
                Ok(Json::List(list))
            }
            Some('{') => {
                self.0.next();
                let mut map = BTreeMap::new();
                self.space();
                if self.0.next_if_eq(&'}').is_none() {
                    loop {
                        self.space();
                        let key = self.text()?;
                        self.expect(':')?;
                        map.insert(key, self.value()?);
                        if !self.separator('}')? {
                            break;
                        }
                    }
                }
                Ok(Json::Object(map))
            }
            _ => match self.word().as_str() {
                "null" => Ok(Json::Null),
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                word => word.parse().map(Json::Number).map_err(|_| format!("{word:?} is no value")),
            },
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => write!(f, "null"),
            Json::Bool(found) => write!(f, "{found}"),
            Json::Number(found) => write!(f, "{found}"),
            Json::Text(found) => write!(f, "{found:?}"),
            Json::List(list) => {
                write!(f, "[")?;
                for (place, each) in list.iter().enumerate() {
                    write!(f, "{}{each}", if place == 0 { "" } else { "," })?;
                }
                write!(f, "]")
            }
            Json::Object(map) => {
                write!(f, "{{")?;
                for (place, (key, each)) in map.iter().enumerate() {
                    write!(f, "{}{key:?}:{each}", if place == 0 { "" } else { "," })?;
                }
                write!(f, "}}")
            }
        }
    }
}

fn main() {
    let text = std::env::args().nth(1).unwrap();
    match Parser(text.chars().peekable()).value() {
        Ok(found) => println!("{found}"),
        Err(error) => {
            println!("not JSON: {error}");
            std::process::exit(1);
        }
    }
}

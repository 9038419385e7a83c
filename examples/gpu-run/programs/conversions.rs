//! uses: From, Into, TryFrom, FromStr, AsRef, Cow, Borrow, a newtype with Ord
//! args: 12:30
//! args: 25:00
//! args: noon
use std::borrow::Cow;
use std::str::FromStr;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Time {
    hour: u8,
    minute: u8,
}

impl FromStr for Time {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (hour, minute) = text.split_once(':').ok_or_else(|| format!("no ':' in {text}"))?;
        let read = |part: &str| part.parse::<u16>().map_err(|error| error.to_string());
        Time::try_from((read(hour)?, read(minute)?))
    }
}

impl TryFrom<(u16, u16)> for Time {
    type Error = String;
    fn try_from((hour, minute): (u16, u16)) -> Result<Self, String> {
        if hour > 23 || minute > 59 {
            return Err(format!("{hour}:{minute} is no time"));
        }
        Ok(Time { hour: hour as u8, minute: minute as u8 })
    }
}

impl From<Time> for u32 {
    fn from(time: Time) -> u32 {
        u32::from(time.hour) * 60 + u32::from(time.minute)
    }
}

fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('0') { text.replace('0', "o").into() } else { text.into() }
}

fn length(text: impl AsRef<str>) -> usize {
    text.as_ref().len()
}

fn main() {
    let text = std::env::args().nth(1).unwrap();
    let cleaned = clean(&text);
    println!("{cleaned} {} {} {}", matches!(cleaned, Cow::Borrowed(_)), length(&text), length("four"));
    match text.parse::<Time>() {
        Ok(time) => println!("{time:?} {} {}", u32::from(time), time > Time { hour: 12, minute: 0 }),
        Err(error) => println!("{error}"),
    }
}

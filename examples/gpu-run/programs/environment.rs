//! uses: env::var, vars, args, set_var
//! args: a "b c" ""
//! env: HOME=/home/lane COLOUR=blue
use std::env;

fn main() {
    println!("{:?}", env::args().skip(1).collect::<Vec<_>>());
    println!("{:?} {:?}", env::var("COLOUR"), env::var("NONE"));
    let mut names: Vec<String> = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    names.sort();
    println!("{names:?}");
    env::set_var("NONE", "some");
    println!("{:?} {:?}", env::var("NONE"), env::current_dir().map_err(|e| e.kind()));
}

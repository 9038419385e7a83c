//! uses: thread::Builder, TcpStream, Command: what WASI preview 1 has not, as errors
use std::net::TcpStream;
use std::process::Command;
use std::thread;

fn main() {
    println!("{:?}", thread::Builder::new().spawn(|| 1).map(|_| ()).map_err(|e| e.kind()));
    println!("{:?}", TcpStream::connect(("127.0.0.1", 80)).map(|_| ()).map_err(|e| e.kind()));
    println!("{:?}", Command::new("ls").spawn().map(|_| ()).map_err(|e| e.kind()));
    println!("{:?}", thread::available_parallelism().map_err(|e| e.kind()));
}

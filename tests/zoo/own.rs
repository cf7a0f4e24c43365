//! Prints its environment and starts the witness, by Rust's standard library.
fn main() {
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    for (name, value) in variables {
        println!("{name:?}={value:?}");
    }
    let witness = std::env::args().nth(1).expect("the witness");
    let done = std::process::Command::new("sh").args([&witness, "a b", ""]).env("OWN", "1").status().expect("a shell");
    println!("ended with {:?}", done.code());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    println!("connected: {}", std::net::TcpStream::connect(address).is_ok());
}

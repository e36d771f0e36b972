//! Asks a server at a fixed rate and tells how long answers took; or asks the module in
//! this process, for what serving adds.
//!
//! `bench-load TARGET PATH REQUESTS CONNECTIONS RATE SECONDS [CONTENT_TYPE]` with TARGET
//! `HOST:PORT` or `unix:PATH`; rate 0 asks again at once.
//! `bench-load in-process BUNDLE TRUST REQUESTS SECONDS`.
//! `bench-load echo PATH` listens on a Unix socket and answers each request with so many
//! bytes as a record has: what a round trip takes without any server.
//! REQUESTS is a file with a body a line. Prints one object of JSON.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use tollgate_host::sandbox::{Bounds, Sandbox};

/// How a connection takes part.
struct Plan<'a> {
    target: &'a str,
    requests: &'a [Vec<u8>],
    first: usize,
    /// Time between two requests of this connection; zero for none.
    every: Duration,
    until: Instant,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mut times, seconds) = match arguments[..] {
        ["in-process", bundle, trust, requests, seconds] => {
            (in_process(bundle, trust, requests, number(seconds)), number(seconds))
        }
        ["echo", path] => return echo(path),
        [target, path, requests, connections, rate, seconds, ref kind @ ..] => {
            let kind = kind.first().copied().unwrap_or("application/json");
            let requests: Vec<Vec<u8>> = lines(requests).iter().map(|body| request(path, kind, body)).collect();
            (load(target, &requests, number(connections) as usize, number(rate), number(seconds)), number(seconds))
        }
        _ => panic!("see the head of bench-load.rs"),
    };
    times.sort();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    let told = serde_json::json!({
        "requests": times.len(), "per_second": times.len() as f64 / seconds,
        "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "p999_us": at(0.999),
    });
    let mut out = io::stdout();
    writeln!(out, "{told}").expect("standard output");
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn lines(path: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn request(path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn load(target: &str, requests: &[Vec<u8>], connections: usize, rate: f64, seconds: f64) -> Vec<Duration> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let every = if rate > 0.0 { Duration::from_secs_f64(connections as f64 / rate) } else { Duration::ZERO };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..connections)
            .map(|index| {
                let first = index * requests.len() / connections;
                scope.spawn(move || one(&Plan { target, requests, first, every, until }))
            })
            .collect();
        all.into_iter().flat_map(|one| one.join().expect("a connection")).collect()
    })
}

fn one(plan: &Plan<'_>) -> Vec<Duration> {
    match plan.target.strip_prefix("unix:") {
        Some(path) => ask(plan, std::os::unix::net::UnixStream::connect(path).expect("connects")),
        None => {
            let socket = TcpStream::connect(plan.target).expect("connects");
            socket.set_nodelay(true).expect("set");
            ask(plan, socket)
        }
    }
}

/// One connection's requests. A request that is late because the answer before it was is
/// counted from when it should have been sent.
fn ask(plan: &Plan<'_>, mut socket: impl Read + Write) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let mut due = Instant::now();
    for request in plan.requests.iter().cycle().skip(plan.first) {
        let late = Instant::now() > due;
        if !late {
            std::thread::sleep(due - Instant::now().min(due));
        }
        let begun = if late && !plan.every.is_zero() { due } else { Instant::now() };
        if Instant::now() >= plan.until {
            break;
        }
        socket.write_all(request).expect("sent");
        answer(&mut socket, &mut buffer);
        times.push(begun.elapsed());
        due += plan.every;
    }
    times
}

/// Reads one answer and insists on 200.
fn answer(socket: &mut impl Read, buffer: &mut [u8]) {
    let mut read = 0;
    loop {
        read += match socket.read(&mut buffer[read..]).expect("an answer") {
            0 => panic!("the connection was closed"),
            more => more,
        };
        let Some(end) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|text| text.trim().parse().ok()).expect("a length");
        while read < end + 4 + length {
            read += match socket.read(&mut buffer[read..]).expect("an answer") {
                0 => panic!("the connection was closed"),
                more => more,
            };
        }
        return;
    }
}

fn echo(path: &str) {
    let listener = std::os::unix::net::UnixListener::bind(path).expect("a socket");
    let answer = [&b"HTTP/1.1 200 OK\r\ncontent-length: 1200\r\n\r\n"[..], &[b'x'; 1200]].concat();
    for mut socket in listener.incoming().map_while(Result::ok) {
        let mut buffer = [0; 1 << 16];
        // A request comes in one piece: the socket's buffer holds many.
        while socket.read(&mut buffer).is_ok_and(|read| read > 0) && socket.write_all(&answer).is_ok() {}
    }
}

fn in_process(bundle: &str, trust: &str, requests: &str, seconds: f64) -> Vec<Duration> {
    let key = tollgate_host::keys::load_public(Path::new(trust)).expect("a key").to_bytes();
    let sandbox = Sandbox::new(Bounds::default()).expect("compiles");
    let mut instance = sandbox.instance().expect("an instance");
    let file = std::fs::read(bundle).expect("a bundle");
    let loaded = instance.load(&file, &[key], None, None).expect("loads");
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut times = Vec::new();
    for request in lines(requests).iter().cycle() {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        instance.score_json(loaded, request).expect("a decision");
        times.push(begun.elapsed());
    }
    times
}

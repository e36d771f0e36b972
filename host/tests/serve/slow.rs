//! Clients that are slow, many, or never done.

use crate::rounds;
use crate::sidecar::{Sidecar, again, connect, exchange, request, rows, shop, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Whether the server has closed a connection.
fn is_closed(socket: &mut TcpStream) -> bool {
    socket.set_nonblocking(true).expect("set");
    match socket.read(&mut [0; 1024]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn clients_that_dribble_are_cut_and_others_answered() {
    let shop = shop();
    let sidecar =
        Sidecar::start(&shop, "--set limits.header_ms=700 --set limits.request_ms=700 --set limits.idle_ms=600000");
    let mut slow: Vec<TcpStream> = (0..rounds(60, 2000))
        .map(|n| {
            let mut socket = again(|| connect(&sidecar.address));
            // Some within a head, some within a body.
            let start = if n % 2 == 0 {
                "POST /v1/decide HTT"
            } else {
                "POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
            };
            socket.write_all(start.as_bytes()).expect("sent");
            socket
        })
        .collect();
    let mut idle = again(|| connect(&sidecar.address));
    let row = &rows(&shop)[0];
    until("the slow are cut", || {
        sidecar.get("/livez").expect(200);
        sidecar.decide(row);
        slow.retain_mut(|socket| {
            // A byte now and then does not help.
            let _ = socket.write(b"x");
            !is_closed(socket)
        });
        slow.is_empty()
    });
    assert!(!is_closed(&mut idle), "one that only waits may do so");
    until("all are given back", || sidecar.metric("tollgate_connections") <= 3.0);
    until("only the one that asks is open", || sidecar.metric("tollgate_requests_in_flight") <= 1.0);
}

#[test]
fn idle_connections_end() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--set limits.idle_ms=300");
    let mut never = again(|| connect(&sidecar.address));
    let mut once = again(|| connect(&sidecar.address));
    once.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    until("both end", || is_closed(&mut never) && is_closed(&mut once));
}

#[test]
fn connections_beyond_the_limit_are_turned_away() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--set limits.connections=10");
    let held: Vec<TcpStream> = (0..10).map(|_| again(|| connect(&sidecar.address))).collect();
    // The eleventh is told, or, where the system is faster, just closed.
    let asked = request("GET", "/livez", "", b"");
    until("one is turned away", || match connect(&sidecar.address).and_then(|socket| exchange(socket, &asked)) {
        Ok(answer) => answer.status == 503 && answer.header("retry-after") == "1",
        Err(_) => true,
    });
    drop(held);
    until("others are taken again", || sidecar.get("/livez").status == 200);
    until("it was counted", || sidecar.get("/metrics").text().contains("tollgate_connections_refused_total"));
    assert!(sidecar.metric("tollgate_connections_refused_total") >= 1.0);
}

#[test]
fn requests_beyond_the_limit_are_shed_and_health_is_not() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--set limits.requests=8 --set limits.request_ms=60000");
    let body = "{\"features\":{}}";
    let head =
        format!("POST /v1/decide HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut open: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut socket = again(|| connect(&sidecar.address));
            socket.write_all(head.as_bytes()).expect("sent");
            socket
        })
        .collect();
    until("all are open", || sidecar.metric("tollgate_requests_in_flight") >= 9.0);
    let answer = sidecar.post("/v1/decide", body);
    assert_eq!(answer.header("retry-after"), "1");
    answer.problem(503, "OVERLOADED");
    sidecar.get("/livez").expect(200);
    sidecar.get("/readyz").expect(200);
    for socket in &mut open {
        socket.write_all(body.as_bytes()).expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(sidecar.metric("tollgate_shed_total{cause=\"requests\"}") >= 1.0);
    sidecar.decide(body);
}

/// How many connections this process may hold beside what it needs itself.
fn most_connections(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let most = getrlimit(Resource::Nofile).current.map_or(wanted, |most| most as usize).saturating_sub(500);
    if most < wanted {
        eprintln!("{most} connections and not {wanted}: this system allows no more open files");
    }
    wanted.min(most)
}

#[test]
fn ten_thousand_connections_are_served_and_health_answers() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--set limits.connections=10500 --set limits.requests=12000");
    let count = most_connections(10_000);
    let row = &rows(&shop)[0];
    let request = format!("POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{row}", row.len());
    let mut all: Vec<TcpStream> = (0..count).map(|_| again(|| connect(&sidecar.address))).collect();
    until("all are open", || sidecar.metric("tollgate_connections") >= count as f64);
    let mut times = Vec::new();
    let mut health = |sidecar: &Sidecar| {
        let begun = Instant::now();
        sidecar.get("/livez").expect(200);
        times.push(begun.elapsed());
    };
    (0..200).for_each(|_| health(&sidecar));
    // All ask, and health is answered between.
    for (index, socket) in all.iter_mut().enumerate() {
        socket.write_all(request.as_bytes()).expect("sent");
        if index % 100 == 0 {
            health(&sidecar);
        }
    }
    for socket in &mut all {
        let mut start = [0; 15];
        socket.read_exact(&mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200 OK");
    }
    assert_eq!(sidecar.metric("tollgate_connections_refused_total"), 0.0);
    times.sort();
    let (half, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{count} connections: health answered {} times, p50 {half:?}, at most {most:?}", times.len());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "");
    let mut socket = again(|| connect(&sidecar.address));
    let mut sent = String::new();
    for n in 0..50 {
        let body = format!("{{\"decision_id\":\"p-{n}\",\"features\":{{}}}}");
        let close = if n == 49 { "connection: close\r\n" } else { "" };
        sent.push_str(&format!(
            "POST /v1/decide HTTP/1.1\r\nhost: x\r\n{close}content-length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    socket.write_all(sent.as_bytes()).expect("sent");
    let mut answers = String::new();
    socket.read_to_string(&mut answers).expect("answers");
    let places: Vec<usize> = (0..50).map(|n| answers.find(&format!("\"p-{n}\"")).expect("answered")).collect();
    assert!(places.is_sorted());
}

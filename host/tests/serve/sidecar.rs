//! A sidecar as a process of its own, and a client that nobody but this test wrote.

use crate::workshop::{Workshop, json};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a signup bundle and a key.
pub fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.build("signup");
    shop
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub struct Sidecar {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// Lines of standard error so far.
    pub lines: Arc<Mutex<Vec<String>>>,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Sidecar {
    /// Starts with the signup bundle; `line` is more of the command line.
    pub fn start(shop: &Workshop, line: &str) -> Self {
        Self::with(shop, &format!("--bundle signup.tollgate --trust k.pub --workers 2 {line}"))
    }

    /// Starts and waits until it is ready. Decisions may take as long as a slow machine
    /// needs, unless the line says otherwise.
    pub fn with(shop: &Workshop, line: &str) -> Self {
        let line = format!("serve --listen 127.0.0.1:0 --set scoring.deadline_ms=20000 {line}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(line.split_whitespace());
        let sidecar = Self::run(shop, command);
        until("the sidecar is ready", || sidecar.get("/readyz").status == 200);
        sidecar
    }

    /// Starts and waits until it listens, ready or not.
    pub fn unready(shop: &Workshop, line: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(format!("serve --listen 127.0.0.1:0 {line}").split_whitespace());
        Self::run(shop, command)
    }

    pub fn run(shop: &Workshop, mut command: Command) -> Self {
        command.current_dir(shop.path("")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the sidecar starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (reader, into) = (BufReader::new(child.stderr.take().expect("stderr")), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                into.lock().expect("lines").push(line);
            }
        });
        let mut sidecar = Self { child, address: String::new(), lines };
        until("the sidecar listens", || {
            if let Some(status) = sidecar.child.try_wait().expect("a child") {
                panic!("the sidecar ended: {status}\n{}", sidecar.told());
            }
            sidecar.address =
                sidecar.said("listening").into_iter().find(|a| !a.starts_with("unix:")).unwrap_or_default();
            !sidecar.address.is_empty()
        });
        sidecar
    }

    /// Addresses in messages of this text.
    pub fn said(&self, message: &str) -> Vec<String> {
        let lines = self.lines.lock().expect("lines");
        let read = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        read.filter(|line| line["message"] == message).filter_map(|l| l["address"].as_str().map(String::from)).collect()
    }

    pub fn told(&self) -> String {
        self.lines.lock().expect("lines").join("\n")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Ends it in order.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the sidecar ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("ended")
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// One request on a connection of its own, tried again when the connection fails.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let request = request(method, path, headers, body.as_ref());
        again(|| exchange(connect(&self.address)?, &request))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", path, "content-type: application/json\r\n", body)
    }

    #[track_caller]
    pub fn decide(&self, row: &str) -> Value {
        self.post("/v1/decide", row).expect(200).json()
    }

    /// The value of a metric, all of its lines added up.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").expect(200).text();
        let lines = page.lines().filter(|line| line.starts_with(name));
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        lines.filter_map(value).sum()
    }

    /// The digest of the bundle that serves.
    pub fn digest(&self) -> String {
        self.get("/v1/schema").expect(200).json()["digest"].as_str().expect("a digest").to_owned()
    }

    /// Resident memory in MiB.
    pub fn memory_mib(&self) -> f64 {
        self.metric("process_resident_memory_bytes") / 1048576.0
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the sidecar said:\n{}", self.told());
        }
    }
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// A problem of this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!((&problem["code"], &problem["status"]), (&Value::from(code), &Value::from(status)), "{problem}");
        problem
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        json(&self.text())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// Tries again, as clients do, while connections fail.
pub fn again<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
    let started = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if started.elapsed() > PATIENCE => panic!("in vain: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

pub fn connect(address: &str) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// The same over a Unix socket.
pub fn send_unix(path: &std::path::Path, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let request = request(method, target, headers, body.as_bytes());
    again(|| {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        exchange(socket, &request)
    })
}

pub fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: sidecar\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Writes a request and reads the answer to the end of the connection.
pub fn exchange(mut socket: impl Read + Write, request: &[u8]) -> std::io::Result<Answer> {
    // A server may answer, and close, before it has read all.
    let _ = socket.write_all(request);
    let mut bytes = Vec::new();
    let read = socket.read_to_end(&mut bytes);
    match answer(&bytes, request.starts_with(b"HEAD ")) {
        Some(answer) => Ok(answer),
        None => Err(read.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())),
    }
}

fn answer(bytes: &[u8], without_body: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: Option<usize> = length.and_then(|(_, value)| value.parse().ok());
    let body = bytes[end + 4..].to_vec();
    (without_body || length.is_none_or(|length| body.len() == length)).then_some(Answer { status, headers, body })
}

/// The sample rows of the signup model.
pub fn rows(shop: &Workshop) -> Vec<String> {
    shop.read("signup/rows.ndjson").lines().map(String::from).collect()
}

/// A record without what differs from one instance to the next.
pub fn without_counter(mut record: Value) -> Value {
    record.as_object_mut().expect("a record").remove("counter");
    record
}

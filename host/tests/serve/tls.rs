//! Bundles over `https://`, from OpenSSL's own server with certificates that it made.

use crate::sidecar::{Sidecar, rows, shop, until};
use crate::workshop::Workshop;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Runs `openssl`; says whether it is there and did it.
fn openssl(shop: &Workshop, line: &str) -> bool {
    let mut command = Command::new("openssl");
    command.args(line.split_whitespace()).current_dir(shop.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// An authority, and a certificate of it for `localhost`: `ca.pem`, `server.pem`, `server.key`.
fn certificates(shop: &Workshop) -> bool {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    shop.write("extensions", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
    let made = openssl(shop, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"))
        && openssl(shop, &format!("req -x509 {key} -keyout b.key -out other.pem -days 2 -subj /CN=another"))
        && openssl(shop, &format!("req -new {key} -keyout server.key -out server.csr -subj /CN=server"))
        && openssl(
            shop,
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile extensions -out server.pem",
        );
    if !made {
        eprintln!("skipped: openssl is not installed, so no bundle comes over https");
    }
    made
}

/// A server that answers each path with what the file of its name holds, head and all.
struct Web(Child, u16);

impl Web {
    fn start(shop: &Workshop) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("a port").port();
        let mut command = Command::new("openssl");
        let line = format!("s_server -accept 127.0.0.1:{port} -cert server.pem -key server.key -HTTP");
        command.args(line.split_whitespace()).current_dir(shop.path(""));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("a server"), port)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_bundle_comes_over_https_from_the_right_server_alone() {
    let shop = shop();
    if !certificates(&shop) {
        return;
    }
    let bundle = std::fs::read(shop.path("signup.tollgate")).expect("a bundle");
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", bundle.len());
    shop.write("answer", [head.as_bytes(), &bundle].concat());
    let web = Web::start(&shop);
    let line = |host: &str, more: &str| {
        format!("--bundle https://{host}:{}/answer --trust k.pub --workers 1 --set poll_ms=50 {more}", web.1)
    };
    let sidecar = Sidecar::with(&shop, &line("localhost", "--set ca_file=ca.pem"));
    assert_eq!(sidecar.decide(&rows(&shop)[0])["source"], "cutoffs");
    drop(sidecar);
    // Another authority, that of the system, and a name that the certificate does not have.
    for (host, more) in
        [("localhost", "--set ca_file=other.pem"), ("localhost", ""), ("127.0.0.1", "--set ca_file=ca.pem")]
    {
        let sidecar = Sidecar::unready(&shop, &line(host, more));
        until("it is refused", || sidecar.told().contains("\"code\":\"TLS\""));
        sidecar.get("/readyz").problem(503, "NOT_READY");
    }
    let sidecar = Sidecar::unready(&shop, &line("localhost", "--set ca_file=k.pub"));
    until("a file without certificates is named", || sidecar.told().contains("\"code\":\"TLS\""));
}

//! Bundles that come, are refused, go back, and outlive the process.

use crate::rounds;
use crate::sidecar::{Sidecar, again, connect, exchange, request, rows, shop, until};
use crate::workshop::Workshop;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Builds the signup bundle once more as another version; returns its digest.
fn another(shop: &Workshop, version: &str) -> String {
    let text = shop.read("signup/bundle.toml");
    let line = text.lines().find(|line| line.starts_with("version")).expect("a version").to_owned();
    shop.write("signup/bundle.toml", text.replace(&line, &format!("version = \"{version}\"")));
    let built = shop.run(&format!("bundle build signup --key k.key -o {version}.tollgate --json")).expect(0).json();
    built["digest"].as_str().expect("a digest").to_owned()
}

/// Puts a file where a sidecar may be reading, whole.
fn place(shop: &Workshop, from: &str, to: &str) {
    std::fs::copy(shop.path(from), shop.path("aside")).expect("copied");
    std::fs::rename(shop.path("aside"), shop.path(to)).expect("moved");
}

/// The log loses nothing: no segment is removed, and a slow disk is waited for.
const KEEP_ALL: &str = "--set log.retain_bytes=0 --set log.when_full=block";
const FAST: &str = "--trust k.pub --workers 2 --set poll_ms=20";

#[test]
fn a_folder_is_polled_and_a_signal_looks_at_once() {
    let shop = shop();
    let second = another(&shop, "2");
    std::fs::create_dir(shop.path("in")).expect("a folder");
    place(&shop, "signup.tollgate", "in/a.tollgate");
    let sidecar = Sidecar::with(&shop, &format!("--bundle in {FAST}"));
    let first = sidecar.digest();
    place(&shop, "2.tollgate", "in/b.tollgate");
    until("the newer bundle serves", || sidecar.digest() == second);
    // Polled once an hour, only the signal can make it look.
    let sidecar = Sidecar::with(&shop, "--bundle signup.tollgate --trust k.pub --set poll_ms=3600000");
    assert_eq!(sidecar.digest(), first);
    place(&shop, "2.tollgate", "signup.tollgate");
    sidecar.signal("HUP");
    until("the signal makes it look", || sidecar.digest() == second);
}

#[test]
fn signals_right_after_the_start_do_not_end_it() {
    let shop = shop();
    for _ in 0..rounds(5, 100) {
        let mut sidecar = Sidecar::start(&shop, "");
        for _ in 0..20 {
            sidecar.signal("HUP");
        }
        sidecar.decide("{\"features\":{}}");
        assert!(sidecar.is_running() && sidecar.stop().success());
    }
}

#[test]
fn bad_bundles_change_nothing() {
    let shop = shop();
    shop.run("keys new -o foreign").expect(0);
    shop.run("bundle build signup --key foreign.key -o foreign.tollgate").expect(0);
    let sidecar = Sidecar::start(&shop, "--set poll_ms=20");
    let digest = sidecar.digest();
    let good = std::fs::read(shop.path("signup.tollgate")).expect("a bundle");
    let foreign = std::fs::read(shop.path("foreign.tollgate")).expect("a bundle");
    let looks = |name: &str| sidecar.metric(&format!("tollgate_bundle_reloads_total{{outcome=\"{name}\"}}"));
    let row = &rows(&shop)[0];
    let decide = |times: &mut Vec<Duration>| {
        let begun = Instant::now();
        assert_eq!(sidecar.decide(row)["bundle_digest"], digest.as_str());
        times.push(begun.elapsed());
    };
    let (mut before, mut during) = (Vec::new(), Vec::new());
    (0..500).for_each(|_| decide(&mut before));
    for bytes in spoilt(&good, foreign) {
        let looked = looks("refused") + looks("unreachable");
        shop.write("aside", bytes);
        std::fs::rename(shop.path("aside"), shop.path("signup.tollgate")).expect("moved");
        // Decisions go on while the bad one is looked at.
        until("it is looked at", || {
            decide(&mut during);
            looks("refused") + looks("unreachable") > looked
        });
    }
    assert_eq!(looks("swapped"), 1.0);
    println!("p99 of a decision before the storm {:?}, in it {:?}", p99(&mut before), p99(&mut during));
    // It stays so while the bad one stands there, however often it is looked at.
    let unchanged = looks("unchanged");
    shop.write("aside", &good[..good.len() - 1]);
    std::fs::rename(shop.path("aside"), shop.path("signup.tollgate")).expect("moved");
    until("it is looked at again", || looks("unchanged") > unchanged + 2.0);
    assert_eq!(sidecar.metric("tollgate_bundle_source_failing"), 1.0);
    sidecar.get("/readyz").expect(200);
    shop.write("aside", good);
    std::fs::rename(shop.path("aside"), shop.path("signup.tollgate")).expect("moved");
    until("a good one is taken", || sidecar.metric("tollgate_bundle_source_failing") == 0.0);
}

/// Files that must not be taken.
fn spoilt(good: &[u8], foreign: Vec<u8>) -> Vec<Vec<u8>> {
    let flipped = |round: usize| {
        let mut bytes = good.to_vec();
        let at = round * 7919 % bytes.len();
        bytes[at] ^= 1 << (round % 8);
        bytes
    };
    let others = [foreign, Vec::new(), good[..good.len() / 2].to_vec(), vec![0; 70 << 20]];
    (1..rounds(30, 2000)).map(flipped).chain(others).collect()
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    times[(times.len() * 99 / 100).min(times.len() - 1)]
}

#[test]
fn swaps_under_load_fail_no_request_and_keep_memory_flat() {
    let shop = shop();
    let digests = [another(&shop, "2"), another(&shop, "3")];
    place(&shop, "2.tollgate", "in.tollgate");
    let line = format!("--bundle in.tollgate {FAST} --set poll_ms=10 --log-dir log {KEEP_ALL}");
    let sidecar = Sidecar::with(&shop, &line);
    let row = rows(&shop)[0].clone();
    let stop = AtomicBool::new(false);
    let asked = AtomicUsize::new(0);
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            // On one connection, so that a request that fails is seen and not tried again.
            scope.spawn(|| keep_asking(&sidecar, &row, &digests, &stop, &asked));
        }
        let total = rounds(150, 20_000);
        for round in 0..total {
            place(&shop, ["3.tollgate", "2.tollgate"][round % 2], "in.tollgate");
            until("the swap", || {
                sidecar.metric("tollgate_bundle_reloads_total{outcome=\"swapped\"}") >= (round + 2) as f64
            });
            if round == total / 3 || round == total - 1 {
                memory.push(sidecar.memory_mib());
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 100);
    assert_eq!(sidecar.metric("tollgate_fallbacks_total"), 0.0);
    assert_eq!(sidecar.metric("tollgate_requests_total{endpoint=\"decide\",code=\"5xx\"}"), 0.0);
    // 10 %, and what an allocator may keep in a process of this size.
    assert!(memory[1] < memory[0] * 1.1 + 8.0, "MiB: {memory:?}");
    println!("MiB: {memory:?}; {} decisions", asked.load(Ordering::Relaxed));
    let mut sidecar = sidecar;
    assert!(sidecar.stop().success());
    let report = shop.run("log verify log --json").expect(0).json();
    assert_eq!(report["decisions"], asked.load(Ordering::Relaxed));
    assert_eq!((&report["declared_lost"], &report["unclosed"]), (&0.into(), &0.into()));
}

/// Asks on one connection until told to stop; each answer has to be good.
fn keep_asking(sidecar: &Sidecar, row: &str, digests: &[String], stop: &AtomicBool, asked: &AtomicUsize) {
    let mut socket = again(|| connect(&sidecar.address));
    let request = format!("POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{row}", row.len());
    let mut buffer = vec![0; 64 << 10];
    while !stop.load(Ordering::Relaxed) {
        socket.write_all(request.as_bytes()).expect("sent");
        let mut read = 0;
        let text = loop {
            let more = socket.read(&mut buffer[read..]).expect("an answer");
            assert!(more > 0, "the connection was closed");
            read += more;
            let text = String::from_utf8_lossy(&buffer[..read]);
            if text.contains("\"record_version\":1}") {
                break text.into_owned();
            }
        };
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(digests.iter().any(|digest| text.contains(digest)), "{text}");
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_rollback_holds_until_something_newer_comes() {
    let shop = shop();
    let digests = [another(&shop, "2"), another(&shop, "3")];
    let line = format!("--bundle signup.tollgate --state-dir state {FAST}");
    let admin = "admin --at unix:state/admin.sock --json";
    let mut sidecar = Sidecar::with(&shop, &line);
    let first = sidecar.digest();
    shop.run(&format!("{admin} rollback")).refused(3, &["NO_PREVIOUS"]);
    place(&shop, "2.tollgate", "signup.tollgate");
    until("the second serves", || sidecar.digest() == digests[0]);
    let back = shop.run(&format!("{admin} rollback")).expect(0).json();
    assert_eq!((&back["outcome"], &back["bundle"]["digest"]), (&"rolled_back".into(), &first.as_str().into()));
    assert_eq!(sidecar.digest(), first);
    let looks = sidecar.metric("tollgate_bundle_reloads_total");
    until("it was looked for some times", || sidecar.metric("tollgate_bundle_reloads_total") > looks + 3.0);
    shop.run(&format!("{admin} reload")).expect(0);
    assert_eq!(sidecar.digest(), first, "the bundle that was left is not taken again");
    // Nor after a start, though the source still offers it.
    assert!(sidecar.stop().success());
    let sidecar = Sidecar::with(&shop, &line);
    assert_eq!(sidecar.digest(), first);
    shop.run(&format!("{admin} reload --unhold")).expect(0);
    assert_eq!(sidecar.digest(), digests[0]);
    place(&shop, "3.tollgate", "signup.tollgate");
    until("the third serves", || sidecar.digest() == digests[1]);
}

#[test]
fn without_its_source_the_last_good_bundle_serves() {
    let shop = shop();
    let line = format!("--bundle gone.tollgate --state-dir state {FAST}");
    // Neither a source nor a bundle kept: it waits, and says so.
    let mut sidecar = Sidecar::unready(&shop, &line);
    sidecar.get("/livez").expect(200);
    sidecar.get("/readyz").problem(503, "NOT_READY");
    let answer = sidecar.post("/v1/decide", "{\"features\":{}}");
    assert_eq!(answer.header("retry-after"), "1");
    answer.problem(503, "NOT_READY");
    place(&shop, "signup.tollgate", "gone.tollgate");
    until("the bundle is found", || sidecar.get("/readyz").status == 200);
    let digest = sidecar.digest();
    assert!(sidecar.stop().success());
    std::fs::remove_file(shop.path("gone.tollgate")).expect("removed");
    let mut sidecar = Sidecar::with(&shop, &line);
    assert_eq!(sidecar.digest(), digest);
    assert!(sidecar.stop().success());
    // A kept bundle is verified like any other.
    let mut kept = std::fs::read(shop.path("state/last-good.tollgate")).expect("kept");
    let middle = kept.len() / 2;
    kept[middle] ^= 1;
    shop.write("state/last-good.tollgate", kept);
    let sidecar = Sidecar::with(&shop, &format!("{line} --set fallback_action=allow"));
    let record = sidecar.decide("{\"decision_id\":\"d\",\"features\":{}}");
    assert_eq!((&record["source"], &record["source_detail"]), (&"fallback".into(), &"no_bundle".into()));
    assert_eq!((&record["action"], &record["decision_id"]), (&"allow".into(), &"d".into()));
}

#[test]
fn killed_at_any_moment_it_starts_with_the_old_or_the_new() {
    let shop = shop();
    let digests = [another(&shop, "2"), another(&shop, "3")];
    place(&shop, "2.tollgate", "in.tollgate");
    for round in 0..rounds(12, 1000) {
        let line = format!("--bundle in.tollgate --state-dir state --log-dir log {FAST} --set poll_ms=10");
        let mut sidecar = Sidecar::with(&shop, &line);
        assert!(digests.contains(&sidecar.digest()), "round {round}");
        place(&shop, ["3.tollgate", "2.tollgate"][round % 2], "in.tollgate");
        // Somewhere between before, during and after the swap.
        std::thread::sleep(Duration::from_micros((round as u64 * 1_700) % 20_000));
        sidecar.kill();
        // Without the source, what was kept has to serve.
        let line = format!("--bundle no-source --state-dir state {FAST}");
        let sidecar = Sidecar::with(&shop, &line);
        assert!(digests.contains(&sidecar.digest()), "round {round}");
    }
    shop.run("log verify log").expect(0);
}

/// A web server for one file, which knows tags.
struct Web {
    address: String,
    file: Arc<Mutex<(Vec<u8>, u32)>>,
    unchanged: Arc<AtomicUsize>,
}

impl Web {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let file = Arc::new(Mutex::new((Vec::new(), 0)));
        let unchanged = Arc::new(AtomicUsize::new(0));
        let (serving, counting) = (Arc::clone(&file), Arc::clone(&unchanged));
        std::thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                let mut head = [0; 4096];
                let mut read = 0;
                while !head[..read].windows(4).any(|window| window == b"\r\n\r\n") {
                    match socket.read(&mut head[read..]) {
                        Ok(more) if more > 0 => read += more,
                        _ => break,
                    }
                }
                let head = String::from_utf8_lossy(&head[..read]).to_ascii_lowercase();
                let (bytes, tag) = serving.lock().expect("a file").clone();
                let answer = if bytes.is_empty() {
                    b"HTTP/1.1 500 Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()
                } else if head.contains(&format!("if-none-match: \"{tag}\"")) {
                    counting.fetch_add(1, Ordering::Relaxed);
                    b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_vec()
                } else {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\netag: \"{tag}\"\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                        bytes.len()
                    );
                    [head.as_bytes(), &bytes].concat()
                };
                let _ = socket.write_all(&answer);
            }
        });
        Self { address, file, unchanged }
    }

    fn serve(&self, path: &Path) {
        let mut file = self.file.lock().expect("a file");
        *file = (std::fs::read(path).unwrap_or_default(), file.1 + 1);
    }
}

#[test]
fn a_url_is_polled_with_its_tag() {
    let shop = shop();
    let second = another(&shop, "2");
    let web = Web::start();
    web.serve(&shop.path("signup.tollgate"));
    let line = format!("--bundle http://{}/b/signup --state-dir state {FAST}", web.address);
    let mut sidecar = Sidecar::with(&shop, &line);
    let first = sidecar.digest();
    until("the tag spares downloads", || web.unchanged.load(Ordering::Relaxed) > 3);
    web.serve(&shop.path("2.tollgate"));
    until("the second serves", || sidecar.digest() == second);
    web.serve(&shop.path("nothing"));
    until("the failure shows", || sidecar.metric("tollgate_bundle_source_failing") == 1.0);
    assert_eq!(sidecar.digest(), second);
    assert!(sidecar.stop().success());
    let sidecar = Sidecar::with(&shop, &line);
    assert_eq!(sidecar.digest(), second, "the last good one, while the server is down");
    web.serve(&shop.path("signup.tollgate"));
    until("the server is back", || sidecar.digest() == first);
    let _ = again(|| exchange(connect(&sidecar.address)?, &request("GET", "/livez", "", b"")));
}

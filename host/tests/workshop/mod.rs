//! A folder in which the `tollgate` command runs as a shell would run it.

#![allow(missing_docs, dead_code, reason = "test support, of which no test uses all")]

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder with both examples and a key pair, in which commands run.
pub struct Workshop(TempDir);

/// What a command left.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Workshop {
    pub fn new() -> Self {
        let shop = Self(TempDir::new().expect("a folder"));
        for model in ["loan", "signup"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(model);
            fs::create_dir(shop.path(model)).expect("a folder");
            for name in
                ["bundle.toml", "model.txt", "golden.csv", "calibration.csv", "rows.ndjson", "metrics.json", "CARD.md"]
            {
                fs::copy(from.join(name), shop.path(model).join(name))
                    .unwrap_or_else(|error| panic!("{model}/{name}: {error}"));
            }
        }
        shop.run("keys new -o k").expect(0);
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Runs a command line; no argument has a space.
    pub fn run(&self, line: &str) -> Ran {
        self.pipe(line, "")
    }

    pub fn pipe(&self, line: &str, input: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(line.split_whitespace()).current_dir(self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("stdin");
        let input = input.to_owned();
        // A command that does not read its input closes the pipe.
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
        let output = child.wait_with_output().expect("the command ends");
        let _ = writer.join();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Builds a model's folder into `MODEL.tollgate`; returns what `--json` says.
    #[track_caller]
    pub fn build(&self, model: &str) -> Value {
        self.run(&format!("bundle build {model} --key k.key -o {model}.tollgate --json")).expect(0).json()
    }

    /// Scores the model's sample rows; returns the records' lines.
    #[track_caller]
    pub fn score(&self, model: &str, rows: &str) -> Vec<String> {
        self.run(&format!("score {model}.tollgate --trust k.pub {rows}")).expect(0).lines()
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Ends with this status, and the message names all of these.
    #[track_caller]
    pub fn refused(self, status: i32, named: &[&str]) {
        let ran = self.expect(status);
        for word in named {
            assert!(ran.err.contains(word), "{word} is not in: {}", ran.err);
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        json(&self.out)
    }

    pub fn lines(&self) -> Vec<String> {
        self.out.lines().map(String::from).collect()
    }
}

#[track_caller]
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

//! The `tollgate` command from end to end, as a shell sees it: files, output, exit status.

mod workshop;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use workshop::{Workshop, json};

/// A record's member as text, empty where it is null.
fn text<'r>(record: &'r Value, key: &str) -> &'r str {
    record[key].as_str().unwrap_or_default()
}

#[test]
fn keys_are_kept_safe() {
    let shop = Workshop::new();
    let (secret, public) = (shop.read("k.key"), shop.read("k.pub"));
    assert!(secret.starts_with("-----BEGIN PRIVATE KEY-----") && public.starts_with("-----BEGIN PUBLIC KEY-----"));
    #[cfg(unix)]
    {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(shop.path("k.key")).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    }
    shop.run("keys new -o k").refused(4, &["k.key", "[IO]"]);
    assert_eq!((shop.read("k.key"), shop.read("k.pub")), (secret, public.clone()), "never overwritten");
    let other = shop.run("keys new -o other --json").expect(0).json();
    assert_eq!(text(&other, "key_id").len(), 16, "{other}");
    assert_ne!(shop.read("other.pub"), public);
    shop.run("keys new -o no/such/folder/k").refused(4, &["[IO]"]);
}

#[test]
fn bundles_are_built_and_verified() {
    let shop = Workshop::new();
    shop.run("keys new -o foreign").expect(0);
    for model in ["loan", "signup"] {
        let built = shop.build(model);
        let again = shop.run(&format!("bundle build {model} --key k.key -o again.tollgate --json")).expect(0).json();
        assert_eq!(again["digest"], built["digest"], "builds are reproducible");
        let (verify, digest) = (format!("bundle verify {model}.tollgate"), text(&built, "digest"));
        let verified = shop.run(&format!("{verify} --trust k.pub --digest {digest} --json")).expect(0).json();
        assert_eq!((&verified["verified"], &verified["digest"]), (&Value::Bool(true), &built["digest"]));
        assert_eq!((text(&verified, "name"), verified["golden_rows"].as_u64()), (model, Some(32)));
        shop.run(&format!("{verify} --trust k.pub")).expect(0);
        shop.run(&format!("{verify} --trust foreign.pub")).refused(3, &["[UNTRUSTED_KEY]"]);
        shop.run(&format!("{verify} --trust k.pub --digest {}", "0".repeat(64))).refused(3, &["[DIGEST]"]);
        shop.run(&format!("{verify} --trust k.pub --digest 12")).refused(2, &["[USAGE]"]);
        shop.run(&format!("{verify} --trust k.key")).refused(3, &["[KEY]"]);
        let inspected = shop.run(&format!("bundle inspect {model}.tollgate --trust k.pub --json")).expect(0).json();
        assert_eq!(inspected["digest"], built["digest"]);
        let mut file = fs::read(shop.path(&format!("{model}.tollgate"))).expect("the bundle");
        let last = file.len() - 1;
        file[last] ^= 1;
        shop.write("tampered.tollgate", &file);
        shop.run("bundle verify tampered.tollgate --trust k.pub").refused(3, &["[DIGEST]"]);
        shop.run(&format!("score tampered.tollgate --trust k.pub {model}/rows.ndjson")).refused(3, &["[DIGEST]"]);
        shop.write("tampered.tollgate", &file[..last]);
        shop.run("bundle verify tampered.tollgate --trust k.pub").refused(3, &["[LENGTH]"]);
    }
    shop.run("bundle verify nothing.tollgate --trust k.pub").refused(4, &["nothing.tollgate"]);
}

#[test]
fn samples_are_decided_as_the_trainer_said() {
    let shop = Workshop::new();
    for model in ["loan", "signup"] {
        shop.build(model);
        let records: Vec<Value> =
            shop.score(model, &format!("{model}/rows.ndjson")).iter().map(|line| json(line)).collect();
        assert_eq!(records.len(), 40);
        let samples = json(&shop.read(&format!("{model}/metrics.json")))["samples"].take();
        for record in &records {
            assert_eq!(record["action"], samples[text(record, "decision_id")], "{record}");
        }
        let actions: BTreeSet<&str> = records.iter().map(|record| text(record, "action")).collect();
        assert_eq!(actions, BTreeSet::from(["allow", "block", "challenge"]));
        if model == "signup" {
            let (capped, fallen) = (&records[38], &records[39]);
            assert_eq!(
                ["decision_id", "action", "source"].map(|key| text(capped, key)),
                ["s-039", "challenge", "missing_cap"]
            );
            assert_eq!(
                ["decision_id", "action", "source"].map(|key| text(fallen, key)),
                ["s-040", "challenge", "required"]
            );
            assert!(fallen["margin"].is_null() && fallen["probability"].is_null(), "{fallen}");
        }
    }
}

#[test]
fn a_bad_line_stops_nothing() {
    let shop = Workshop::new();
    shop.build("signup");
    let clean = shop.score("signup", "signup/rows.ndjson");
    let mut rows: Vec<String> = shop.read("signup/rows.ndjson").lines().map(String::from).collect();
    rows.insert(20, r#"{"features": {"ip_signups_1h": 1,}}"#.into());
    rows.insert(30, "what?".into());
    shop.write("mixed.ndjson", rows.join("\n"));
    let mixed = shop.run("score signup.tollgate --trust k.pub mixed.ndjson").expect(1);
    assert!(mixed.err.contains("[BAD_LINES]"), "{}", mixed.err);
    let mut lines = mixed.lines();
    for (index, line) in [(30, 31), (20, 21)] {
        let error = json(&lines.remove(index))["error"].take();
        assert_eq!((text(&error, "code"), error["line"].as_u64()), ("REQUEST", Some(line)), "{error}");
        assert!(!text(&error, "message").is_empty(), "{error}");
    }
    assert_eq!(lines, clean, "all other records are as they were");
}

#[test]
fn rows_come_by_file_pipe_and_csv() {
    let shop = Workshop::new();
    shop.build("signup");
    let rows = shop.read("signup/rows.ndjson");
    let records = shop.score("signup", "signup/rows.ndjson");
    for dash in ["", "-"] {
        let piped = shop.pipe(&format!("score signup.tollgate --trust k.pub {dash}"), &rows).expect(0);
        assert_eq!(piped.lines(), records, "{dash}");
    }
    // The first ten rows are whole; they name the columns.
    let rows: Vec<Value> = rows.lines().take(10).map(json).collect();
    let names: Vec<&String> = rows[0]["features"].as_object().expect("features").keys().collect();
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let mut table =
        format!("decision_id,event_time,{}\n", names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(","));
    for row in &rows {
        let features: Vec<String> = names.iter().map(|name| cell(&row["features"][name.as_str()])).collect();
        table += &format!("{},{},{}\n", cell(&row["decision_id"]), cell(&row["event_time"]), features.join(","));
    }
    shop.write("rows.csv", table);
    let from_csv = shop.score("signup", "rows.csv");
    assert_eq!(from_csv.len(), 10);
    for (line, record) in from_csv.iter().zip(&records) {
        let (mut by_csv, mut by_json) = (json(line), json(record));
        (by_csv["input"], by_json["input"]) = (Value::Null, Value::Null);
        assert_eq!(by_csv, by_json);
    }
    let bare =
        shop.pipe("score signup.tollgate --trust k.pub --no-input", &rows[0]["features"].to_string()).expect(0).json();
    let first = json(&records[0]);
    assert_eq!((&bare["action"], &bare["margin"], bare.get("input")), (&first["action"], &first["margin"], None));
    let table = shop.run("score signup.tollgate --trust k.pub signup/rows.ndjson --table").expect(0);
    assert!(table.out.contains("s-001") && table.out.contains("missing_cap"), "{}", table.out);
}

#[test]
fn replay_finds_what_was_changed() {
    let shop = Workshop::new();
    shop.build("signup");
    let mut records = shop.score("signup", "signup/rows.ndjson");
    shop.write("log.ndjson", records.join("\n"));
    let same = shop.run("replay signup.tollgate log.ndjson --trust k.pub --json").expect(0).json();
    let counts = ["replayed", "same", "differ"].map(|key| same[key].as_u64());
    assert_eq!(counts, [Some(40), Some(40), Some(0)], "{same}");
    let changed = records.iter().position(|record| record.contains(r#""action":"allow""#)).expect("an allowed row");
    records[changed] = records[changed].replacen(r#""action":"allow""#, r#""action":"block""#, 1);
    shop.write("log.ndjson", records.join("\n"));
    let found = shop.run("replay signup.tollgate log.ndjson --trust k.pub --json").expect(1);
    assert!(found.err.contains("[REPLAY_DIFFERS]"), "{}", found.err);
    assert_eq!(found.json()["lines_that_differ"], Value::from(vec![changed + 1]));
    let shown = shop.run("replay signup.tollgate log.ndjson --trust k.pub").expect(1);
    assert!(shown.out.contains(&format!("line {} differs", changed + 1)), "{}", shown.out);
    shop.write("log.ndjson", "no record\n");
    shop.run("replay signup.tollgate log.ndjson --trust k.pub").refused(3, &["line 1", "[RECORD]"]);
}

/// The column `raw` of a golden table, as its text.
fn raw_column(shop: &Workshop, model: &str) -> Vec<String> {
    let golden = shop.read(&format!("{model}/golden.csv"));
    assert!(golden.lines().next().is_some_and(|header| header.ends_with(",raw")));
    golden.lines().skip(1).filter_map(|line| Some(line.rsplit_once(',')?.1.to_owned())).collect()
}

#[test]
fn bare_models_predict_to_the_bit() {
    let shop = Workshop::new();
    let predicted = shop.run("model predict loan/model.txt --rows loan/golden.csv").expect(0).lines();
    assert_eq!(predicted[0], "y0");
    let bits = |text: &String| text.parse::<f64>().expect("a number").to_bits();
    let raw = raw_column(&shop, "loan");
    assert_eq!(predicted[1..].iter().map(bits).collect::<Vec<_>>(), raw.iter().map(bits).collect::<Vec<_>>());
    let check = "model check loan/model.txt --rows loan/golden.csv --json --expected";
    let same = shop.run(&format!("{check} loan/golden.csv --column raw")).expect(0).json();
    assert_eq!((same["rows"].as_u64(), same["rows_off"].as_u64()), (Some(32), Some(0)));
    let mut off = raw.clone();
    off[6] = format!("{:?}", f64::from_bits(bits(&raw[6])).next_up());
    shop.write("off.csv", format!("raw\n{}\n", off.join("\n")));
    let found = shop.run(&format!("{check} off.csv")).expect(1);
    assert!(found.err.contains("[PREDICTIONS_DIFFER]"), "{}", found.err);
    assert_eq!((found.json()["rows_off"].as_u64(), found.json()["worst"]["row"].as_u64()), (Some(1), Some(7)));
    shop.run(&format!("{check} off.csv --abs 1e-9")).expect(0);
    shop.write("no-model.txt", "hello\n");
    shop.run("model predict no-model.txt --rows loan/golden.csv").refused(3, &["no-model.txt", "[MODEL]"]);
}

/// A build of the loan folder with one file changed is refused, and leaves no bundle.
#[track_caller]
fn check_build(shop: &Workshop, files: &[&str], change: impl Fn(&str) -> String, named: &[&str]) {
    let before: Vec<String> = files.iter().map(|file| shop.read(file)).collect();
    for (file, text) in files.iter().zip(&before) {
        let changed = change(text);
        assert_ne!(&changed, text, "{file}");
        shop.write(file, changed);
    }
    shop.run("bundle build loan --key k.key -o refused.tollgate").refused(3, named);
    assert!(!shop.path("refused.tollgate").exists(), "a refused build writes nothing");
    files.iter().zip(&before).for_each(|(file, text)| shop.write(file, text));
}

#[test]
fn builds_are_refused_by_name() {
    let shop = Workshop::new();
    let toml = "loan/bundle.toml";
    let raw = raw_column(&shop, "loan").swap_remove(2);
    let moved = format!("{:?}", raw.parse::<f64>().expect("a number").next_up());
    check_build(&shop, &["loan/golden.csv"], |text| text.replacen(&raw, &moved, 1), &["[GOLDEN]", "row 3", "line 4"]);
    let head = shop.read(toml).lines().position(|line| line == "[bundle]").expect("[bundle]") + 1;
    let line = format!("line {}", head + 1);
    check_build(
        &shop,
        &[toml],
        |text| text.replacen("[bundle]\n", "[bundle]\ncolour = \"red\"\n", 1),
        &["[SOURCE]", "colour", &line],
    );
}

#[test]
fn schemas_and_policies_are_refused_by_name() {
    let shop = Workshop::new();
    let toml = "loan/bundle.toml";
    let forbidden = |text: &str| text.replace("LIMIT_BAL", "gender");
    check_build(
        &shop,
        &[toml, "loan/model.txt", "loan/golden.csv"],
        forbidden,
        &["[SCHEMA]", "gender", "must not be scored"],
    );
    check_build(
        &shop,
        &[toml],
        |text| text.replacen("monotone = 1 ", "monotone = -1 ", 1),
        &["[SCHEMA]", "PAY_0", "monotone"],
    );
    check_build(&shop, &[toml], |text| text.replace("\"PAY_6\"", "\"PAY_7\""), &["[SCHEMA]", "PAY_7", "PAY_6"]);
    let without_costs = |text: &str| {
        let (head, rest) = text.split_once("[policy.costs]").expect("costs");
        format!("{head}{}", &rest[rest.find("[[policy.segments]]").expect("segments")..])
    };
    check_build(&shop, &[toml], without_costs, &["[SOURCE]", "[policy.costs]", "[policy.cutoffs]"]);
    let blocking = |text: &str| text.replacen("at_most = \"challenge\"  ", "at_most = \"block\"  ", 1);
    check_build(&shop, &[toml], blocking, &["[SOURCE]", "LIMIT_BAL", "never blocks"]);
    check_build(&shop, &[toml], |text| text.replacen("completion = 0.92", "completion = 1.92", 1), &["[POLICY]"]);
    check_build(
        &shop,
        &["loan/calibration.csv"],
        |text| text.replacen(",0\n", ",2\n", 1),
        &["[CALIBRATION]", "calibration.csv"],
    );
    shop.run("bundle build loan --key k.pub -o refused.tollgate").refused(3, &["[KEY]"]);
    shop.build("loan");
}

#[test]
fn cut_offs_follow_from_costs() {
    let shop = Workshop::new();
    let from = shop.run("policy derive --from signup/bundle.toml --json").expect(0).json();
    let said = "--false-negative 2.10 --false-block 7.50 --challenge 0.02 --completion 0.93 --lost-user 1.00 --abuser-pass 0.25";
    let by_options = shop.run(&format!("policy derive {said} --json")).expect(0).json();
    assert_eq!(from, by_options);
    let lost = (1.0 - 0.93) * 1.0;
    let want = [(0.02 + lost) / ((1.0 - 0.25) * 2.1 + lost), (7.5 - lost - 0.02) / (7.5 - lost + 0.25 * 2.1)];
    for (key, want) in ["challenge", "block"].into_iter().zip(want) {
        assert!((from["cutoffs"][key].as_f64().expect("a cut-off") - want).abs() < 1e-12, "{key}: {from}");
    }
    let metrics = json(&shop.read("signup/metrics.json"));
    for (ours, theirs) in [("challenge", "t1"), ("block", "t2")] {
        let (ours, theirs) = (from["cutoffs"][ours].as_f64(), metrics["cutoffs"][theirs].as_f64());
        assert!(ours.zip(theirs).is_some_and(|(a, b)| (a - b).abs() < 1e-6), "{ours:?} {theirs:?}");
    }
    assert_eq!(from["challenge_pays"], true);
    let dear = shop.run(&format!("policy derive {} --json", said.replace("0.02", "100"))).expect(0).json();
    assert!(dear["cutoffs"]["challenge"].is_null() && dear["challenge_pays"] == false, "{dear}");
    assert!((dear["cutoffs"]["block"].as_f64().expect("a cut-off") - 0.78125).abs() < 1e-12, "{dear}");
    shop.run(&format!("policy derive {}", said.replace("0.93", "1.93"))).refused(3, &["[POLICY]"]);
    shop.run("policy derive --false-negative 1").expect(2);
}

#[test]
fn every_command_explains_itself() {
    let shop = Workshop::new();
    for command in [
        "",
        "keys",
        "keys new",
        "model",
        "model predict",
        "model check",
        "explain",
        "importance",
        "bundle",
        "bundle build",
        "bundle verify",
        "bundle inspect",
        "score",
        "policy",
        "policy derive",
        "replay",
    ] {
        let help = shop.run(&format!("{command} --help")).expect(0);
        assert!(help.out.contains("Usage: tollgate") && help.err.is_empty(), "{command}: {}", help.out);
    }
    shop.run("no-such-command").expect(2);
    shop.run("").expect(2);
}

/// Weights in TOML: the sum, and the logistic of it, as worked out by hand.
#[test]
fn linear_models_predict_their_sum() {
    let shop = Workshop::new();
    shop.write("l.toml", "link = \"logistic\"\nintercept = -1.5\n[weights]\nage = -0.25\nproxy = 2.0\n");
    shop.write("l.csv", "age,proxy\n2,1\n0,0\n,1\n");
    let raw = shop.run("model predict l.toml --rows l.csv").expect(0).lines();
    assert_eq!(raw, ["y0", "0.0", "-1.5", "NaN"]);
    let probability = shop.run("model predict l.toml --rows l.csv --output probability").expect(0).lines();
    assert_eq!(probability[1], "0.5");
    let second: f64 = probability[2].parse().expect("a number");
    assert!((second - 1.0 / (1.0 + 1.5f64.exp())).abs() < 1e-15, "{second}");
    shop.write("l.toml", "link = \"logistic\"\n[weights]\nage = \"x\"\n");
    shop.run("model predict l.toml --rows l.csv").refused(3, &["[MODEL]", "age"]);
}

#[test]
fn decisions_are_explained() {
    let shop = Workshop::new();
    shop.run("bundle build signup --key k.key -o s.tollgate").expect(0);
    let rows = shop.read("signup/rows.ndjson");
    let risky = rows.lines().nth(38).expect("a risky row");
    let shown = shop.pipe("explain s.tollgate --trust k.pub --svg w.svg", risky).expect(0).out;
    assert!(shown.contains("average") && shown.contains("reason 1 INSUFFICIENT_DATA_SIGNUP_VELOCITY"), "{shown}");
    assert!(shown.contains('█') && shown.contains("10 other features"), "{shown}");
    let svg = shop.read("w.svg");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.matches("<rect").count() > 10);
    let json = shop.pipe("explain s.tollgate --trust k.pub --json", risky).expect(0).json();
    assert_eq!(json["record"]["action"], "challenge");
    let table = shop.run("importance s.tollgate signup/rows.ndjson --trust k.pub --json --svg i.svg").expect(0).json();
    let features = table["features"].as_array().expect("features");
    let values: Vec<f64> = features.iter().filter_map(|feature| feature["mean_absolute"].as_f64()).collect();
    assert!(values.len() == 22 && values.is_sorted_by(|a, b| a >= b), "{table}");
    assert_eq!((table["rows"].as_u64(), shop.read("i.svg").matches("<rect").count()), (Some(40), 23));
    shop.pipe("explain s.tollgate --trust k.pub", "[1]").expect(3);
}

/// What most often lies behind predictions that differ is said in a sentence.
#[test]
fn differences_are_diagnosed() {
    let shop = Workshop::new();
    let golden = shop.read("loan/golden.csv");
    let raw: Vec<f64> = raw_column(&shop, "loan").iter().map(|text| text.parse().expect("a number")).collect();
    let said = |numbers: &[f64]| {
        let lines: Vec<String> = numbers.iter().map(|number| format!("{number:?}")).collect();
        shop.write("expected.csv", format!("y0\n{}\n", lines.join("\n")));
        let check = "model check loan/model.txt --rows loan/golden.csv --json --expected expected.csv";
        let found = shop.run(check).expect(1).json();
        found["likely_cause"].as_str().expect("a cause").to_owned()
    };
    let each = |change: &dyn Fn(f64) -> f64| raw.iter().map(|number| change(*number)).collect::<Vec<_>>();
    assert!(golden.lines().count() > 3);
    assert!(said(&each(&|x| x + 0.5)).contains("off by 0.5"), "a base score");
    assert!(said(&each(&|x| x / 7.0)).contains("factor"), "an average");
    assert!(said(&each(&|x| 1.0 / (1.0 + (-x).exp()))).contains("other kind of output"), "probabilities");
    assert!(said(&each(&|x| f64::from(x as f32))).contains("float32"), "single precision");
    let mut one = raw.clone();
    one[0] += 1.0;
    one[1] -= 1.0;
    assert!(said(&one).contains("no common cause"));
}

#[test]
fn types_name_features_and_reasons() {
    let shop = Workshop::new();
    shop.run("bundle build signup --key k.key -o s.tollgate").expect(0);
    shop.run("types s.tollgate --trust k.pub").expect(0);
    let text = shop.read("features.d.ts");
    for line in [
        "\"ip_signups_1h\"?: number | null;",
        "\"is_tor\"?: boolean | null;",
        "A whole number from 0 to 5000.",
        "| \"INSUFFICIENT_DATA_EMAIL\"",
        "| \"SEGMENT_TOR\"",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    shop.write("s.tollgate", "not a bundle");
    shop.run("types s.tollgate --trust k.pub -o other.d.ts").expect(3);
    assert!(!shop.path("other.d.ts").exists(), "nothing is written from a bundle that is refused");
}

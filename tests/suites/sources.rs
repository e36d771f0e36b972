//! What authors hand over: models, `bundle.toml`, tables. Nothing panics, and what is
//! wrong is refused with a code that stays.

use proptest::prelude::*;
use proptest::sample::Index;
use tollgate_host::author::{self, BundleSource};
use tollgate_host::import::{Source, lightgbm};
use tollgate_host::table::{Codes, Table};
use tollgate_tests::forge::{key, public};
use tollgate_tests::property::check;
use tollgate_tests::{Native, Runtime, root};

/// One change to a text of lines `key=value value ..`.
#[derive(Clone, Debug)]
enum Edit {
    Delete(Index),
    Repeat(Index),
    Word(Index, Index, &'static str),
    Cut(Index),
}

impl Edit {
    fn strategy() -> impl Strategy<Value = Self> {
        let words = vec![
            "",
            "-1",
            "0",
            "1",
            "2",
            "1e999",
            "-1e999",
            "nan",
            "1e300",
            "2147483648",
            "4294967295",
            "18446744073709551615",
            "99999999999999999999",
            "-9223372036854775808",
            "9223372036854775807",
            "text",
            "é",
            "=",
            "[",
            "\"",
            "'''",
            "{}",
            "true",
        ];
        let line = any::<Index>;
        prop_oneof![
            2 => line().prop_map(Self::Delete),
            1 => line().prop_map(Self::Repeat),
            8 => (line(), line(), prop::sample::select(words)).prop_map(|(at, word, new)| Self::Word(at, word, new)),
            1 => line().prop_map(Self::Cut),
        ]
    }

    fn apply(&self, lines: &mut Vec<String>) {
        let count = lines.len().max(1);
        lines.resize(count, String::new());
        match self {
            Self::Delete(at) => drop(lines.remove(at.index(count))),
            Self::Repeat(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Self::Cut(at) => lines.truncate(at.index(count)),
            Self::Word(at, word, new) => {
                let line = &mut lines[at.index(count)];
                let (key, value) = line.split_once('=').unwrap_or((line.as_str(), ""));
                let mut words: Vec<&str> = value.split(' ').collect();
                let place = word.index(words.len());
                words[place] = *new;
                *line = format!("{key}={}", words.join(" "));
            }
        }
    }
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    edits.iter().for_each(|edit| edit.apply(&mut lines));
    lines.join("\n")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The loan model with its first three trees.
fn small_model() -> String {
    let model = read("models/loan/model.txt");
    let (head, rest) = model.split_once("\nTree=0\n").expect("a first tree");
    let (trees, _) = rest.split_once("\nTree=3\n").expect("a fourth tree");
    let sizes = head.lines().find(|line| line.starts_with("tree_sizes=")).expect("sizes");
    format!("{}\nTree=0\n{trees}\nend of trees\n", head.replace(sizes, "tree_sizes=1 1 1"))
}

/// Imports, and makes a bundle of what could be imported.
fn import(text: &str) {
    match lightgbm(text, None) {
        Err(failure) => assert_eq!(failure.code, "MODEL", "{failure}"),
        Ok(forest) => {
            if let Ok(file) = author::bare(&Source::Forest(forest), &key(1)) {
                let _ = Native::default().load(&file, &public(1), None, None);
            }
        }
    }
}

#[test]
fn edited_models_are_imported_or_refused() {
    let model = small_model();
    assert_eq!(lightgbm(&model, None).expect("imports").trees.len(), 3);
    check(512, prop::collection::vec(Edit::strategy(), 1..4), |edits| import(&edited(&model, &edits)));
}

#[test]
fn models_with_numbers_at_the_end_of_their_range() {
    let model = small_model();
    let with = |model: &str, key: &str, number: &str| {
        let at = model.find(&format!("\n{key}=")).expect(key) + key.len() + 2;
        let end = at + model[at..].find([' ', '\n']).expect("an end");
        [&model[..at], number, &model[end..]].concat()
    };
    let large = ["18446744073709551615", "9223372036854775807", "-9223372036854775808", "4294967296", "-1"];
    for key in [
        "max_feature_idx",
        "num_class",
        "num_tree_per_iteration",
        "num_leaves",
        "num_cat",
        "left_child",
        "split_feature",
    ] {
        large.iter().for_each(|number| import(&with(&model, key, number)));
    }
    // A category split names its set by a double.
    let sets = with(&model, "num_cat", "1\ncat_boundaries=0 1\ncat_threshold=1");
    let sets = with(&sets, "decision_type", "1");
    for number in ["0", "1", "-1", "0.5", "1e300", "-1e300", "nan", "inf", "18446744073709551615"] {
        import(&with(&sets, "threshold", number));
        import(&with(&with(&sets, "threshold", "0"), "cat_boundaries", number));
    }
    for key in ["num_features", "leaf_features", "leaf_coeff", "leaf_const"] {
        import(&with(&model, "is_linear", &format!("1\n{key}=18446744073709551615 1")));
    }
}

fn source(text: &str) -> Result<BundleSource, tollgate_host::Failure> {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("edited-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let source = BundleSource::read(&path);
    let _ = std::fs::remove_file(&path);
    source
}

#[test]
fn edited_bundle_descriptions_are_read_or_refused() {
    let texts = [read("models/loan/bundle.toml"), read("models/signup/bundle.toml")];
    texts.iter().for_each(|text| assert!(source(text).is_ok()));
    check(
        256,
        (prop::sample::select(texts.to_vec()), prop::collection::vec(Edit::strategy(), 1..4)),
        |(text, edits)| match source(&edited(&text, &edits)) {
            Err(failure) => assert_eq!(failure.code, "SOURCE", "{failure}"),
            Ok(source) => {
                for failure in [author::schema_part(&source.features).err(), author::policy_part(&source).err()]
                    .into_iter()
                    .flatten()
                {
                    assert!(["SOURCE", "POLICY"].contains(&failure.code), "{failure}");
                }
            }
        },
    );
    for deep in [
        "x = ".to_owned() + &"[".repeat(10_000),
        "x = ".to_owned() + &"{a=".repeat(10_000),
        format!("[{}x]", "x.".repeat(10_000)),
    ] {
        assert_eq!(source(&deep).expect_err("no bundle").code, "SOURCE");
    }
}

#[test]
fn any_bytes_as_a_table() {
    let byte = prop::sample::select(b",,,\"\n\n\r;11.-eaA \t\xff\x00\xc3".to_vec());
    check(512, prop::collection::vec(byte, 0..200), |bytes| match Table::parse(&bytes, "table") {
        Err(failure) => assert_eq!(failure.code, "TABLE", "{failure}"),
        Ok(table) => {
            assert!(table.rows.iter().all(|row| row.len() == table.header.len()));
            let names: Vec<String> = table.header.iter().take(2).cloned().collect();
            let codes: Codes = names.iter().map(|name| (name.clone(), vec!["a".to_owned(), "A".to_owned()])).collect();
            let failures = [table.all_numbers().err(), table.features(&names, &codes).err(), table.numbers("1").err()];
            for failure in failures.into_iter().flatten() {
                assert_eq!(failure.code, "TABLE", "{failure}");
            }
        }
    });
}

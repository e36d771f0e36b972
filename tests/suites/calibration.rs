//! Calibrators against scikit-learn and exact optima, and what any fit must keep.

use proptest::prelude::*;
use tollgate_host::author::calibration::{Labelled, beta, isotonic, platt};
use tollgate_scorer::Curve;
use tollgate_tests::property::check;
use tollgate_tests::root;

type Fit = fn(&[Labelled]) -> tollgate_host::Result<Curve>;

const FITS: [(&str, Fit); 3] = [("isotonic", isotonic), ("platt", platt), ("beta", beta)];

/// One reference fit; which members are there depends on the curve.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Case {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    w: Option<Vec<f64>>,
    knots_x: Vec<f64>,
    knots_y: Vec<f64>,
    a: f64,
    b: f64,
    c: f64,
    probe: Vec<f64>,
    expected: Vec<f64>,
}

impl Case {
    fn points(&self) -> Vec<Labelled> {
        let weights = self.w.clone().unwrap_or_else(|| vec![1.0; self.x.len()]);
        let points = self.x.iter().zip(&self.y).zip(weights);
        points.map(|((score, label), weight)| Labelled { score: *score, label: *label, weight }).collect()
    }

    #[track_caller]
    fn check_predictions(&self, curve: &Curve, tolerance: f64) {
        assert_eq!(self.probe.len(), self.expected.len());
        for (probe, want) in self.probe.iter().zip(&self.expected) {
            let got = curve.at(*probe);
            assert!((got - want).abs() <= tolerance, "{} at {probe}: {got}, not {want}", self.name);
        }
    }
}

fn cases(kind: &str) -> Vec<Case> {
    let path = root().join("tests/fixtures/calibrators.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases: Vec<Case> = serde_json::from_value(all[kind].take()).expect("cases");
    assert!(cases.len() >= 8, "the {kind} cases are there");
    cases
}

/// Equal up to rounding; parameters that are zero have no relative error.
fn is_close(got: f64, want: f64, relative: f64) -> bool {
    (got - want).abs() <= relative * want.abs() + 1e-15
}

#[test]
fn isotonic_fits_are_those_of_scikit_learn() {
    let (mut exact, mut all) = (0, 0);
    for case in cases("isotonic") {
        let curve = isotonic(&case.points()).unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
        let Curve::Isotonic { x, y } = &curve else { panic!("{curve:?}") };
        assert_eq!(x, &case.knots_x, "{}", case.name);
        assert_eq!(y.len(), case.knots_y.len(), "{}", case.name);
        for (got, want) in y.iter().zip(&case.knots_y) {
            assert!(is_close(*got, *want, 1e-12), "{}: {got}, not {want}", case.name);
            exact += usize::from(got.to_bits() == want.to_bits());
            all += 1;
        }
        case.check_predictions(&curve, 1e-12);
    }
    println!("isotonic: {exact} of {all} knots to the bit");
    assert!(exact * 4 >= all * 3, "{exact} of {all} knots to the bit");
}

#[test]
fn halfway_between_two_knots() {
    let case = cases("isotonic").into_iter().find(|case| case.name == "tied").expect("the case");
    let curve = isotonic(&case.points()).expect("fits");
    assert!((curve.at(2.5) - 2.0 / 3.0).abs() < 1e-15, "{}", curve.at(2.5));
}

#[test]
fn platt_fits_are_the_optimum() {
    for case in cases("platt") {
        match platt(&case.points()) {
            Err(failure) => {
                // Higher scores go with fewer bad labels: no risk score does that.
                assert!(case.a > 0.0, "{}: {failure}", case.name);
                assert_eq!(failure.code, "CALIBRATION", "{}", case.name);
            }
            Ok(curve @ Curve::Platt { a, b }) => {
                assert!(case.a <= 0.0, "{}: a = {} must be refused", case.name, case.a);
                assert!(is_close(a, case.a, 1e-9), "{}: a = {a}, not {}", case.name, case.a);
                assert!(is_close(b, case.b, 1e-9), "{}: b = {b}, not {}", case.name, case.b);
                case.check_predictions(&curve, 1e-12);
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn beta_fits_are_the_optimum_under_its_bounds() {
    for case in cases("beta") {
        let curve = beta(&case.points()).unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
        let Curve::Beta { a, b, c } = curve else { panic!("{curve:?}") };
        for (got, want) in [(a, case.a), (b, case.b), (c, case.c)] {
            assert!(is_close(got, want, 1e-7), "{}: {got}, not {want}", case.name);
        }
        case.check_predictions(&curve, 1e-9);
    }
}

/// Labelled scores within bounds, with ties and with weights.
fn points(scores: std::ops::Range<f64>) -> impl Strategy<Value = Vec<Labelled>> {
    let coarse = scores.clone().prop_map(|score| (score * 20.0).round() / 20.0).boxed();
    let (low, high) = (scores.start, scores.end);
    let score = prop_oneof![scores, coarse.prop_map(move |score| score.clamp(low, high))];
    let weight = prop_oneof![Just(1.0f64), Just(0.0f64), 0.01..10.0f64];
    let point = (score, any::<bool>(), weight);
    let point = point.prop_map(|(score, bad, weight)| Labelled { score, label: f64::from(u8::from(bad)), weight });
    prop::collection::vec(point, 1..60)
}

/// Higher scores never lower the risk, which is a probability everywhere.
#[track_caller]
fn check_lawful(curve: &Curve, fitted: &[Labelled], probes: &[f64]) {
    let own = fitted.iter().flat_map(|point| [point.score.next_down(), point.score, point.score.next_up()]);
    let mut probes: Vec<f64> = probes.iter().copied().chain(own).collect();
    probes.extend([f64::NEG_INFINITY, f64::MIN, -0.0, 0.0, 1.0, f64::MAX, f64::INFINITY]);
    probes.sort_by(f64::total_cmp);
    let mut before = 0.0;
    for probe in probes {
        // Interpolation may round the last bit of a knot's value.
        let at = curve.at(probe);
        assert!((-1e-12..=1.0 + 1e-12).contains(&at), "{curve:?} at {probe}: {at}");
        assert!(at >= before - 1e-12, "{curve:?} falls from {before} to {at} at {probe}");
        before = at;
    }
}

/// Fits, or is refused as a calibration.
fn fit(fit: Fit, points: &[Labelled]) -> Option<Curve> {
    match fit(points) {
        Ok(curve) => Some(curve),
        Err(failure) => {
            assert_eq!(failure.code, "CALIBRATION", "{failure}");
            None
        }
    }
}

#[test]
fn any_isotonic_fit_is_lawful() {
    check(256, (points(-50.0..50.0), prop::collection::vec(-60.0..60.0f64, 20)), |(points, probes)| {
        if let Some(curve) = fit(isotonic, &points) {
            check_lawful(&curve, &points, &probes);
        }
    });
}

#[test]
fn any_platt_fit_is_lawful() {
    check(256, (points(-50.0..50.0), prop::collection::vec(-60.0..60.0f64, 20)), |(points, probes)| {
        if let Some(curve) = fit(platt, &points) {
            check_lawful(&curve, &points, &probes);
        }
    });
}

#[test]
fn any_beta_fit_is_lawful() {
    check(256, (points(0.001..0.999), prop::collection::vec(-0.1..1.1f64, 20)), |(points, probes)| {
        if let Some(curve) = fit(beta, &points) {
            check_lawful(&curve, &points, &probes);
        }
    });
}

#[test]
fn fits_survive_both_ends_of_the_labels() {
    for label in [0.0, 1.0] {
        let points = [0.1, 0.4, 0.9].map(|score| Labelled { score, label, weight: 1.0 });
        for curve in FITS.into_iter().filter_map(|(_, curve)| fit(curve, &points)) {
            check_lawful(&curve, &points, &[0.2, 0.5]);
            assert!((curve.at(0.5) - label).abs() < 0.5, "{curve:?} for labels {label}");
        }
    }
}

#[test]
fn scores_that_make_no_sense_are_refused() {
    let usual = |score: f64| Labelled { score, label: f64::from(u8::from(score > 0.5)), weight: 1.0 };
    let with = |change: fn(&mut Labelled)| {
        let mut points = [0.2, 0.3, 0.6, 0.7].map(usual).to_vec();
        change(&mut points[1]);
        points
    };
    let bad: [(&str, Vec<Labelled>); 11] = [
        ("no rows", vec![]),
        ("no weight", [0.2, 0.7].map(|score| Labelled { weight: 0.0, ..usual(score) }).to_vec()),
        ("score NaN", with(|point| point.score = f64::NAN)),
        ("score infinite", with(|point| point.score = f64::INFINITY)),
        ("score infinite", with(|point| point.score = f64::NEG_INFINITY)),
        ("label 2", with(|point| point.label = 2.0)),
        ("label -1", with(|point| point.label = -1.0)),
        ("label NaN", with(|point| point.label = f64::NAN)),
        ("weight NaN", with(|point| point.weight = f64::NAN)),
        ("weight negative", with(|point| point.weight = -1.0)),
        ("weight infinite", with(|point| point.weight = f64::INFINITY)),
    ];
    for (what, points) in &bad {
        for (name, fit) in FITS {
            let failure = fit(points).expect_err(what);
            assert_eq!(failure.code, "CALIBRATION", "{name}, {what}: {failure}");
            let names_row = points.is_empty() || *what == "no weight" || failure.message.contains("row 2");
            assert!(names_row, "{name}, {what}: {failure}");
        }
    }
    for score in [0.0, 1.0, -0.5, 1.5] {
        let mut points = [0.2, 0.7].map(usual).to_vec();
        points.push(usual(score));
        assert_eq!(beta(&points).expect_err("outside (0, 1)").code, "CALIBRATION", "{score}");
        assert!(isotonic(&points).is_ok(), "{score}");
    }
}

//! Compares the objects that Brokkr stores for a file with those that kubectl sends.
//!
//! A program with kubectl's own reader (`tests/testbed/kubernetes/oracle`) reads thousands of files that are generated from a seed. Both
//! readers must give equal objects or refuse the file; each intended difference counts under a reason.

#![expect(clippy::print_stdout, reason = "prints the number of equal results")]

mod case;
mod compare;
mod files;
mod generate;
mod samples;
mod scalars;

use std::collections::BTreeMap;

use brokkr_core::manifest::ManifestSet;
use brokkr_testbed::KubectlReader;
use fastrand::Rng;

use compare::{Reason, Verdict, judge};

const SEED: u64 = 20_26;
const OF_EACH_CLASS: usize = 500;

/// `BROKKR_READING_SEED` changes the files, `BROKKR_READING_CASES` the number per class, `BROKKR_READING_SHOWN` the number of printed failures.
fn from_environment<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn manifests_are_stored_as_kubectl_sends_them() {
    let mut rng = Rng::with_seed(from_environment("BROKKR_READING_SEED", SEED));
    let cases = generate::cases(&mut rng, from_environment("BROKKR_READING_CASES", OF_EACH_CLASS));
    assert!(cases.len() >= 5_000, "{} files", cases.len());
    let reader = KubectlReader::ensure().unwrap();
    let sent = reader.ask(cases.iter().map(|(_, file)| file.as_slice())).unwrap();
    assert_eq!(sent.len(), cases.len());
    let (mut right, mut reasons, mut wrong) = (0, BTreeMap::<Reason, usize>::new(), Vec::new());
    for ((class, file), sent) in cases.iter().zip(sent) {
        let stored = ManifestSet::parse_yaml(file);
        match judge(&stored, &sent) {
            Verdict::Right => right += 1,
            Verdict::Because(reason) => *reasons.entry(reason).or_default() += 1,
            Verdict::Wrong(why) => wrong.push(format!(
                "{class}: {why}\n{}\n  stored: {stored:?}\n  sent: {sent:?}\n",
                String::from_utf8_lossy(file)
            )),
        }
    }
    println!("reading {right}/{}", cases.len());
    for (reason, count) in &reasons {
        println!("  {count:>5} {reason:?}: {}", reason.why());
    }
    let shown = wrong.len().min(from_environment("BROKKR_READING_SHOWN", 10));
    assert!(wrong.is_empty(), "{} files are read differently, among them:\n{}", wrong.len(), wrong[..shown].join("\n"));
    let scanner = reasons.get(&Reason::Scanner).copied().unwrap_or_default();
    assert!(scanner * 50 < cases.len(), "the scanners disagree about {scanner} files, more than 2 %");
}

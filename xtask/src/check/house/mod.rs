//! `cargo xtask check house`: figures that keep the code base easy to enter.

mod cycles;
mod documentation;
mod external;
mod graph;
mod sizes;
mod sources;
mod tree;

use brokkr_testbed::{Error, Result};

use sources::Sources;

/// A figure and the violations that it counts.
struct Finding {
    name: &'static str,
    figure: String,
    wrong: Vec<String>,
}

pub(crate) fn run() -> Result<()> {
    let sources = Sources::read()?;
    let mut findings = vec![
        cycles::between_files(&sources),
        cycles::between_folders(&sources),
        documentation::examples(&sources),
        sizes::files(&sources),
        sizes::tests(&sources),
    ];
    findings.extend(tree::all()?);
    findings.extend(external::all()?);
    let mut wrong = 0;
    for finding in &findings {
        println!("{} {}", finding.name, finding.figure);
        for line in &finding.wrong {
            println!("    {line}");
        }
        wrong += usize::from(!finding.wrong.is_empty());
    }
    if wrong == 0 {
        return Ok(());
    }
    Err(Error::new(format!(
        "{wrong} of {} figures are outside their limits; the lines above name each violation",
        findings.len()
    )))
}

//! `cargo xtask check house`: what keeps the code base easy to enter, as figures.

mod cycles;
mod documentation;
mod graph;
mod sizes;
mod sources;
mod tree;

use brokkr_testbed::{Error, Result};

use sources::Sources;

/// A figure, whether it is as it should be, and what is wrong otherwise.
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
        "{wrong} of {} figures are not as they should be; each says above what to change",
        findings.len()
    )))
}

//! A broker in its own process.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Error, Process, Result};

/// Time limit for the start, including the load of a large database.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A broker in its own process, which ends on drop.
#[derive(Debug)]
pub struct BrokerProcess {
    /// The broker's address: `http://…`.
    pub url: String,
    /// The admin key, if the broker made one. The first broker on a new store does.
    pub admin: Option<String>,
    /// The process.
    pub process: Process,
    /// The time of the start.
    pub started: Instant,
}

impl BrokerProcess {
    /// Starts `brokkr-broker serve` with a port, more arguments, and a database or the memory store. Waits until it listens.
    pub fn start(program: &Path, port: u16, arguments: &[&str], database: Option<&str>, log: &Path) -> Result<Self> {
        let listen = format!("127.0.0.1:{port}");
        let key_file = log.with_extension("admin-key");
        let _ = std::fs::remove_file(&key_file);
        let key_words = ["--admin-key-file".to_owned(), key_file.display().to_string()];
        let words = ["serve", "--listen", &listen, &key_words[0], &key_words[1]].into_iter();
        let words = words.chain(arguments.iter().copied());
        let words: Vec<String> = words.map(str::to_owned).collect();
        // Any free port, because several brokers run on one machine.
        let mut variables = vec![("BROKKR__BROKER__METRICS_LISTEN".to_owned(), "127.0.0.1:0".to_owned())];
        variables.extend(database.map(|url| ("DATABASE_URL".to_owned(), url.to_owned())));
        let started = Instant::now();
        let process = Process::start(program, &words, &variables, log)?;
        loop {
            let said = std::fs::read_to_string(log)?;
            // The broker writes the key before it listens.
            if said.contains("listening on") {
                let admin = std::fs::read_to_string(&key_file).ok().map(|key| key.trim().to_owned());
                return Ok(Self { url: format!("http://{listen}"), admin, process, started });
            }
            if started.elapsed() > START_TIMEOUT || !process.is_running() {
                return Err(Error::new(format!("the broker did not start:\n{said}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

//! Where a new admin key goes: to a terminal, or to a file that only its owner can read. Never to a log.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use brokkr_control::{Broker, KeyHash};
use secrecy::{ExposeSecret as _, SecretString};

/// An open destination. It is opened before the key exists, so that no key is lost.
#[derive(Debug)]
pub(crate) enum KeySink {
    Terminal,
    File(PathBuf, File),
}

impl KeySink {
    /// Opens a new file with mode 0600, or standard output if it is a terminal.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, String> {
        let Some(path) = file else {
            return if std::io::stdout().is_terminal() {
                Ok(Self::Terminal)
            } else {
                Err("standard output is not a terminal, so an admin key could end up in a log; name a file for it"
                    .to_owned())
            };
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(path);
        let file = opened.map_err(|error| format!("cannot create {} for the admin key: {error}", path.display()))?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Writes the key.
    pub(crate) fn write(self, key: &SecretString) -> std::io::Result<()> {
        match self {
            Self::Terminal => println!("admin key (shown only once): {}", key.expose_secret()),
            Self::File(path, mut file) => {
                writeln!(file, "{}", key.expose_secret())?;
                file.sync_all()?;
                println!("admin key (stored only there): {}", path.display());
            }
        }
        Ok(())
    }

    /// Removes the file again, if no key was written.
    pub(crate) fn discard(self) {
        if let Self::File(path, _) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Gives a new store its first admin key: the configured one, or a new one for a terminal or a file.
pub(crate) async fn first_key(
    broker: &Broker,
    given: Option<KeyHash>,
    file: Option<&Path>,
) -> Result<(), Box<dyn Error>> {
    if given.is_some() {
        broker.ensure_admin_key(given).await?;
        return Ok(());
    }
    if !broker.needs_admin_key().await? {
        return Ok(());
    }
    let sink = match KeySink::open(file) {
        Ok(sink) => sink,
        Err(_) if file.is_none() => {
            tracing::error!(
                "no admin key exists, and standard output is not a terminal: start with --admin-key-file FILE, set \
                 BROKKR__BROKER__ADMIN_KEY_HASH, or run brokkr-broker keys recover"
            );
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    match broker.ensure_admin_key(None).await? {
        Some(key) => sink.write(&key)?,
        // Another broker was faster.
        None => sink.discard(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use brokkr_core::store::MemoryStore;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("brokkr-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[tokio::test]
    async fn first_key_goes_to_a_private_file_once() {
        let broker = Broker::builder(MemoryStore::new()).start().await.expect("started");
        let folder = folder("first-key");
        let file = folder.join("admin.key");
        first_key(&broker, None, Some(&file)).await.expect("written");
        let text = std::fs::read_to_string(&file).expect("a file");
        assert!(text.starts_with("brokkr_admin_") && text.ends_with('\n'));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        }
        assert!(broker.authenticate(text.trim(), brokkr_control::Origin::in_process()).is_ok());
        let second = folder.join("second.key");
        first_key(&broker, None, Some(&second)).await.expect("nothing to do");
        assert!(!second.exists(), "a store with an admin key gets no other");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[tokio::test]
    async fn existing_file_is_never_overwritten_and_costs_no_key() {
        let broker = Broker::builder(MemoryStore::new()).start().await.expect("started");
        let folder = folder("existing-key");
        let file = folder.join("admin.key");
        std::fs::write(&file, "precious").expect("written");
        let error = first_key(&broker, None, Some(&file)).await.expect_err("the file exists").to_string();
        assert!(error.contains("admin.key"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "precious");
        assert!(broker.needs_admin_key().await.expect("readable"), "no key was made");
        std::fs::remove_dir_all(folder).expect("removed");
    }
}

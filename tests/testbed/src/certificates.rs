//! Certificates of a private certificate authority.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::postgres::user_prefix;
use crate::{Error, Result, ensure_command};

/// The certificates of an authority and of a server.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The server's certificate. It is valid for 127.0.0.1 only.
    pub server: PathBuf,
    /// The server's key, readable by the user that PostgreSQL runs as.
    pub key: PathBuf,
}

impl Certificates {
    /// Creates the files in a folder.
    pub fn make(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let openssl = ensure_command("openssl", "openssl")?;
        let run = |words: &str| -> Result<()> {
            let output = Command::new(&openssl).args(words.split_whitespace()).current_dir(folder).output()?;
            if output.status.success() { Ok(()) } else { Err(Error::new(String::from_utf8_lossy(&output.stderr))) }
        };
        std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")?;
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        run(&format!("req -x509 {new} -keyout authority.key -out authority.crt -days 2 -subj /CN=authority"))?;
        run(&format!("req {new} -keyout server.key -out server.csr -subj /CN=server"))?;
        run(
            "x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 -extfile names -out server.crt",
        )?;
        let made = Self {
            authority: folder.join("authority.crt"),
            server: folder.join("server.crt"),
            key: folder.join("server.key"),
        };
        // Only if the server runs as another user. That user then also owns the folder.
        if !user_prefix(folder)?.is_empty() && !Command::new("chown").arg("postgres").arg(&made.key).status()?.success()
        {
            return Err(Error::new("cannot change the owner of the key to the user postgres"));
        }
        Ok(made)
    }
}

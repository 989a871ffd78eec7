//! The process's limit of open files. Each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open besides clients' connections: the listener, the database, logs.
const OTHERS: u64 = 128;

/// Raises the limit to the most that the process may have, and returns the connections that fit. Logs what to do if they are
/// fewer than `wanted`.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = raised();
    let fitting = fitting(limit, wanted);
    if fitting < wanted {
        tracing::warn!(
            limit,
            connections = fitting,
            "the limit of open files allows fewer than {wanted} connections; raise it to {} (ulimit -Hn, LimitNOFILE= of a \
             systemd unit, or the container's limit), or lower BROKKR__BROKER__CONNECTIONS",
            wanted as u64 + OTHERS,
        );
    }
    fitting
}

/// The limit after raising it; `None` without a limit.
fn raised() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum || setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        return current;
    }
    maximum
}

fn fitting(limit: Option<u64>, wanted: usize) -> usize {
    let most = limit.map_or(u64::MAX, |limit| limit.saturating_sub(OTHERS).max(1));
    wanted.min(usize::try_from(most).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_limit_of_open_files() {
        for (limit, wanted, expected) in [
            (None, 20_000, 20_000),
            (Some(1024), 20_000, 896),
            (Some(20_128), 20_000, 20_000),
            (Some(20_127), 20_000, 19_999),
            (Some(64), 20_000, 1),
        ] {
            assert_eq!(fitting(limit, wanted), expected, "{limit:?}");
        }
    }
}

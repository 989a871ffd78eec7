//! The connection over which the view is read.
//!
//! A token is valid only while the connection that it came from lives, and within one run of the server. A crashed
//! server may reuse numbers of transactions that it had not written down, which an earlier token would count as seen. A
//! crash closes every connection and thereby invalidates every token. Behind a proxy the connection may survive, so the
//! run of the server is compared as well. The cost is a new snapshot after each loss of the connection, and nothing
//! otherwise.

use std::time::{Duration, Instant};

use brokkr_core::store::{StoreError, StoreResult, ViewSnapshot, ViewTail, ViewToken};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::error::meaning;
use crate::history::{self, Unless};
use crate::server_run;
use crate::session::Session;
use crate::view::{self, Landmark, Tail};

/// How often to check that the history is still current. A restore can happen under a running broker.
const HISTORY_INTERVAL: Duration = Duration::from_secs(1);

type Connection = Session<Box<PgConnection>>;

/// Reads the view over its own connection.
pub(crate) struct ViewReader {
    options: PgConnectOptions,
    pooled: bool,
    step_timeout: Duration,
    state: Mutex<State>,
}

struct State {
    connection: Option<Connection>,
    /// The run of the server in which tokens were issued.
    run: Uuid,
    /// The newest change that was seen over any connection.
    landmark: Option<Landmark>,
    /// All histories at the time of the last snapshot.
    histories: Vec<Uuid>,
    history_checked_at: Instant,
}

impl ViewReader {
    pub(crate) fn new(options: PgConnectOptions, pooled: bool, step_timeout: Duration) -> Self {
        let state = State {
            connection: None,
            run: Uuid::nil(),
            landmark: None,
            histories: Vec::new(),
            history_checked_at: Instant::now(),
        };
        Self { options, pooled, step_timeout, state: Mutex::new(state) }
    }

    pub(crate) async fn snapshot(&self) -> StoreResult<ViewSnapshot> {
        let mut state = self.state.lock().await;
        // Take the connection out: if this future is dropped midway, the connection is not used again.
        let mut connection = match state.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        if let Some(landmark) = state.landmark.clone()
            && !landmark.is_there(&mut connection).await.map_err(meaning)?
        {
            set_back(&mut connection, &mut state).await?;
        }
        history::ensure_current(&mut connection).await.map_err(meaning)?;
        let histories = history::all(&mut connection).await.map_err(meaning)?;
        let run = server_run::current(&mut connection).await.map_err(meaning)?;
        let (snapshot, landmark) = view::snapshot(&mut connection).await.map_err(meaning)?;
        state.landmark = landmark.or(state.landmark.take());
        (state.histories, state.run) = (histories, run);
        state.connection = Some(connection);
        Ok(snapshot)
    }

    pub(crate) async fn tail(&self, since: &ViewToken) -> StoreResult<ViewTail> {
        let mut state = self.state.lock().await;
        let mut connection = state.connection.take().ok_or(StoreError::Expired)?;
        if state.history_checked_at.elapsed() >= HISTORY_INTERVAL {
            state.history_checked_at = Instant::now();
            history::ensure_current(&mut connection).await.map_err(meaning)?;
        }
        let tail =
            match view::tail(&mut connection, since, state.run, state.landmark.as_ref()).await.map_err(meaning)? {
                Tail::Read(tail, landmark) => {
                    state.landmark = landmark.or(state.landmark.take());
                    Ok(tail)
                }
                Tail::Expired => Err(StoreError::Expired),
                Tail::SetBack => {
                    set_back(&mut connection, &mut state).await?;
                    Err(StoreError::Expired)
                }
            };
        state.connection = Some(connection);
        tail
    }

    async fn connect(&self) -> StoreResult<Connection> {
        let connecting = PgConnection::connect_with(&self.options);
        let connected = tokio::time::timeout(self.step_timeout, connecting).await;
        let connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(meaning)?;
        Ok(Session::new(Box::new(connection), self.pooled, self.step_timeout))
    }
}

/// Begins a new history after changes that were seen have disappeared. A history that existed before does not count.
async fn set_back(connection: &mut Connection, state: &mut State) -> StoreResult<()> {
    let epoch = history::begin(
        connection,
        "changes that were seen before no longer exist",
        Unless::AmongOthersThan(&state.histories),
    )
    .await
    .map_err(meaning)?;
    tracing::warn!(%epoch, "the database was set back; agents remove nothing until an admin confirms the new epoch");
    state.landmark = None;
    Ok(())
}

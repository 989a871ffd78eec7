//! The settings `[broker.limits]` and `[broker.quotas]`: what one caller, one kind of work and one generator may use.

use brokkr_control::Quotas;
use brokkr_core::model::Quota;
use brokkr_http::server::{ServerBuilder, WorkClass};
use serde::Deserialize;

/// Declares settings, which the environment takes before the file.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name { $($(#[$field_doc])* $field: Option<$kind>,)* }

        impl $name {
            /// The settings of `self`, and of `other` for those that are absent.
            pub(crate) fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)* }
            }
        }
    };
}

settings! {
    /// Limits of one caller per second, and of all requests of one kind at once.
    LimitSettings {
        /// Requests of one key, per second. Default: 1,000.
        requests_per_second: u32,
        /// Requests of one generator with all its keys, per second. Default: 2,000.
        owner_requests_per_second: u32,
        /// Requests of one agent, generator or admin key that change something, per second. Default: 500.
        writes_per_second: u32,
        /// Requests from one address without a usable key, per second. Default: 100.
        unauthenticated_per_second: u32,
        /// Requests of agents at once. Default: 1,024.
        concurrent_agent_requests: usize,
        /// Reads at once. Default: 128.
        concurrent_reads: usize,
        /// Writes at once. Default: 64.
        concurrent_writes: usize,
        /// Lists at once. Default: 8.
        concurrent_lists: usize,
    }
}

settings! {
    /// What one generator may keep.
    QuotaSettings {
        /// Stacks. Default: 10,000.
        stacks: u64,
        /// Revisions of all stacks. Default: 1,000,000.
        revisions: u64,
        /// The manifests of all revisions together, in MiB. Default: 102,400.
        manifest_mib: u64,
        /// Keys. Default: 16.
        keys: u64,
        /// Answers to requests with an idempotency key. Default: 100,000.
        idempotency_records: u64,
        /// Waiting polls of one key of an agent. Default: 16.
        open_polls: u64,
    }
}

impl LimitSettings {
    /// Sets the limits of a server.
    pub(crate) fn on(self, mut server: ServerBuilder) -> ServerBuilder {
        if let Some(rate) = self.requests_per_second {
            server = server.requests_per_second(rate);
        }
        if let Some(rate) = self.owner_requests_per_second {
            server = server.owner_requests_per_second(rate);
        }
        if let Some(rate) = self.writes_per_second {
            server = server.writes_per_second(rate);
        }
        if let Some(rate) = self.unauthenticated_per_second {
            server = server.unauthenticated_per_second(rate);
        }
        for (setting, class) in [
            (self.concurrent_agent_requests, WorkClass::Agents),
            (self.concurrent_reads, WorkClass::Reads),
            (self.concurrent_writes, WorkClass::Writes),
            (self.concurrent_lists, WorkClass::Lists),
        ] {
            if let Some(requests) = setting {
                server = server.concurrent(class, requests);
            }
        }
        server
    }
}

impl From<QuotaSettings> for Quotas {
    fn from(settings: QuotaSettings) -> Self {
        let bytes = settings.manifest_mib.map(|mib| mib.saturating_mul(1024 * 1024));
        let all = [
            (Quota::Stacks, settings.stacks),
            (Quota::Revisions, settings.revisions),
            (Quota::ManifestBytes, bytes),
            (Quota::Keys, settings.keys),
            (Quota::IdempotencyRecords, settings.idempotency_records),
            (Quota::OpenPolls, settings.open_polls),
        ];
        let given = all.into_iter().filter_map(|(quota, maximum)| Some((quota, maximum?)));
        given.fold(Self::default(), |quotas, (quota, maximum)| quotas.with(quota, maximum))
    }
}

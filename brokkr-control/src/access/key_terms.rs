//! What a new key permits, and the limits that the key of its maker sets.

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{ApiKey, KeyKind, KeyScope, KeyScopes, SourceNetwork, Timestamp, limits, validate_text};

/// What a key permits, to whom, from where and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyTerms {
    /// The person or system that holds the key, for the audit.
    pub subject: Option<String>,
    /// What the holder may do. `None`: the default of the owner's kind.
    pub scopes: Option<KeyScopes>,
    /// The networks from which the key may be used, within those of the key that creates it. Empty: from where that key may be
    /// used; for the keys of agents that an admin creates: from everywhere.
    pub source_networks: Vec<SourceNetwork>,
    /// Expiry time, in the future. `None`: the latest possible one.
    pub expires_at: Option<Timestamp>,
}

/// What the maker of a key can give.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    pub(crate) scopes: KeyScopes,
    /// The networks of the maker's own key; empty: it may be used from everywhere.
    pub(crate) networks: Vec<SourceNetwork>,
    /// The end of the maker's own key.
    pub(crate) ends_at: Option<Timestamp>,
    /// The configured maximum for keys of people and systems.
    pub(crate) lifetime: Option<Duration>,
}

/// Checked terms of a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) subject: Option<String>,
    pub(crate) scopes: KeyScopes,
    pub(crate) source_networks: Vec<SourceNetwork>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Maker {
    /// Checks the terms: a new key neither outlives its maker's key, nor has a scope that it lacks, nor works from elsewhere.
    pub(crate) fn grant(&self, owner: KeyKind, terms: KeyTerms, now: Timestamp) -> Result<Granted, Invalid> {
        if let Some(subject) = &terms.subject {
            validate_text(subject, limits::SHORT_TEXT_CHARACTERS).map_err(|error| error.within("subject"))?;
        }
        let scopes = terms.scopes.unwrap_or_else(|| owner.default_scopes());
        self.check_scopes(owner, &scopes).map_err(|error| error.within("scopes"))?;
        if terms.source_networks.len() > limits::SOURCE_NETWORKS {
            let message = format!("at most {} networks are allowed", limits::SOURCE_NETWORKS);
            return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("source_networks"));
        }
        let source_networks =
            self.networks(owner, terms.source_networks).map_err(|error| error.within("source_networks"))?;
        let expires_at = self.end(owner, terms.expires_at, now).map_err(|error| error.within("expires_at"))?;
        let subject = terms.subject.filter(|subject| !subject.is_empty());
        Ok(Granted { subject, scopes, source_networks, expires_at })
    }

    /// Whether the key is one of an agent, or of a join token, that is not the maker.
    fn is_for_another_agent(&self, owner: KeyKind) -> bool {
        matches!(owner, KeyKind::Agent | KeyKind::JoinToken) && !self.scopes.contains(&KeyScope::Agent)
    }

    fn check_scopes(&self, owner: KeyKind, scopes: &KeyScopes) -> Result<(), Invalid> {
        let refuse = |message: String| Err(Invalid::new(InvalidCode::FieldInvalid, message));
        if scopes.is_empty() {
            return refuse("a key without a scope permits nothing; name a scope or a preset".to_owned());
        }
        if let Some(scope) = scopes.iter().find(|scope| !scope.fits(owner)) {
            return refuse(match owner {
                KeyKind::Agent | KeyKind::JoinToken => {
                    "the keys of agents have the scope agent and no other; omit the scopes".to_owned()
                }
                KeyKind::AdminReadOnly => format!("{scope} permits changes; use the kind admin, or omit the kind"),
                KeyKind::Admin => format!("only the keys of agents have the scope {scope}; create an agent"),
                KeyKind::Generator => format!("{scope} is not limited to a generator's own rows; omit it"),
            });
        }
        // An agent's key reads the stacks that the agent serves, with the values of Secrets. A join token creates such keys.
        let implied: KeyScopes = if self.is_for_another_agent(owner) {
            BTreeSet::from([KeyScope::StacksRead, KeyScope::SecretsRead]).try_into()?
        } else {
            scopes.clone()
        };
        match self.scopes.lacks(&implied) {
            None => Ok(()),
            Some(scope) => refuse(format!(
                "the presented key does not have the scope {scope}, so it cannot create a key with it; \
                 omit the scope, or use a key that has it"
            )),
        }
    }

    /// The networks of a new key. Agents run in their clusters, so an admin's networks do not limit their keys.
    fn networks(&self, owner: KeyKind, wanted: Vec<SourceNetwork>) -> Result<Vec<SourceNetwork>, Invalid> {
        if self.networks.is_empty() || self.is_for_another_agent(owner) {
            return Ok(wanted);
        }
        if wanted.is_empty() {
            return Ok(self.networks.clone());
        }
        match wanted.iter().find(|it| !self.networks.iter().any(|own| own.contains_all_of(it))) {
            None => Ok(wanted),
            Some(outside) => {
                let message = format!(
                    "the presented key may not be used from {outside}, so it cannot create a key for it; name networks \
                     within those of the presented key"
                );
                Err(Invalid::new(InvalidCode::FieldInvalid, message))
            }
        }
    }

    /// The latest end of a key that this maker creates; `None` if it need not end.
    fn latest_end(&self, owner: KeyKind, now: Timestamp) -> Option<Timestamp> {
        // An agent without a key can no longer be reached, so the maximum is for people and systems only.
        let lifetime = self.lifetime.filter(|_| owner != KeyKind::Agent);
        [self.ends_at, lifetime.map(|lifetime| now.plus(lifetime))].into_iter().flatten().min()
    }

    /// The terms with an end that this maker can give.
    pub(crate) fn within_reach(&self, owner: KeyKind, mut terms: KeyTerms, now: Timestamp) -> KeyTerms {
        let latest = self.latest_end(owner, now);
        terms.expires_at = [terms.expires_at, latest].into_iter().flatten().min();
        terms
    }

    fn end(&self, owner: KeyKind, wanted: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>, Invalid> {
        let latest = self.latest_end(owner, now);
        let Some(wanted) = wanted else { return Ok(latest) };
        let refuse = |message: String| Err(Invalid::new(InvalidCode::FieldInvalid, message));
        if wanted <= now {
            return refuse("the expiry time is in the past; use a future time".to_owned());
        }
        match latest {
            Some(latest) if wanted > latest && Some(latest) == self.ends_at => {
                refuse(format!("the presented key expires at {latest}; a key that it creates cannot outlive it"))
            }
            Some(latest) if wanted > latest => {
                refuse(format!("the broker's maximum lifetime of keys ends at {latest}; use an earlier time"))
            }
            _ => Ok(Some(wanted)),
        }
    }
}

/// The terms of the key that replaces these ones: what they permit together, for as long as the longest-lived of them lived.
pub(crate) fn successor(replaced: &[&ApiKey], now: Timestamp) -> Result<KeyTerms, Invalid> {
    let Some((first, others)) = replaced.split_first() else { return Ok(KeyTerms::default()) };
    let mut scopes = first.scopes.clone();
    for key in others {
        scopes = scopes.with(&key.scopes)?;
    }
    let lifetime = |key: &&ApiKey| key.expires_at.map(|end| end.since(key.created_at));
    // `None` is the longest lifetime.
    let longest = replaced.iter().map(lifetime).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    let networks: BTreeSet<SourceNetwork> = if replaced.iter().any(|key| key.source_networks.is_empty()) {
        BTreeSet::new()
    } else {
        replaced.iter().flat_map(|key| key.source_networks.iter().copied()).collect()
    };
    Ok(KeyTerms {
        subject: first.subject.clone().filter(|_| others.iter().all(|key| key.subject == first.subject)),
        scopes: Some(scopes),
        source_networks: networks.into_iter().collect(),
        expires_at: longest.map(|longest| now.plus(longest)),
    })
}

/// The usable key with every scope of an admin that ends last.
pub(crate) fn last_admin<'a>(keys: impl IntoIterator<Item = &'a ApiKey>, now: Timestamp) -> Option<&'a ApiKey> {
    let usable = keys.into_iter().filter(|key| key.is_full_admin() && key.is_usable(now));
    usable.max_by_key(|key| (key.expires_at.is_none(), key.expires_at))
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::entropy::{Entropy as _, SystemEntropy};
    use brokkr_core::model::{Digest, KeyOwner, Preset, Version};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn scopes(words: &str) -> KeyScopes {
        let scopes: BTreeSet<KeyScope> = words.split_whitespace().map(|it| it.parse().expect("a scope")).collect();
        scopes.try_into().expect("few")
    }

    fn maker(words: &str) -> Maker {
        Maker { scopes: scopes(words), networks: Vec::new(), ends_at: None, lifetime: None }
    }

    fn key(owner: KeyOwner, expires_at: Option<Timestamp>, now: Timestamp) -> ApiKey {
        ApiKey {
            id: SystemEntropy.uuid(now).into(),
            short_id: String::new(),
            hash: Digest::of(b""),
            name: "sample".parse().expect("a name"),
            owner,
            subject: None,
            scopes: owner.kind().default_scopes(),
            source_networks: Vec::new(),
            expires_at,
            version: Version::FIRST,
            created_at: now,
            deleted_at: None,
        }
    }

    #[test]
    fn new_key_has_only_scopes_of_its_maker_and_of_its_kind() {
        let admin = Preset::Admin.scopes().to_string().replace(',', "");
        for (maker_scopes, owner, wanted, given) in [
            (&*admin, KeyKind::Admin, "stacks:read gate:tests", true),
            (&admin, KeyKind::Admin, "agent", false),
            (&admin, KeyKind::Admin, "", false),
            (&admin, KeyKind::AdminReadOnly, "stacks:read secrets:read", true),
            (&admin, KeyKind::AdminReadOnly, "stacks:write", false),
            (&admin, KeyKind::Generator, "stacks:write keys", true),
            (&admin, KeyKind::Generator, "fleet:read", false),
            (&admin, KeyKind::Agent, "agent", true),
            (&admin, KeyKind::Agent, "agent stacks:read", false),
            ("keys stacks:read", KeyKind::Admin, "stacks:read", true),
            ("keys stacks:read", KeyKind::Admin, "stacks:read stacks:write", false),
            ("keys gate:tests", KeyKind::Admin, "gate:tests", true),
            ("keys gate:tests", KeyKind::Admin, "gate:*", false),
            ("keys fleet:write", KeyKind::Agent, "agent", false),
            ("keys fleet:write stacks:read secrets:read", KeyKind::Agent, "agent", true),
            ("agent", KeyKind::Agent, "agent", true),
            (&admin, KeyKind::JoinToken, "agent", true),
            (&admin, KeyKind::JoinToken, "keys", false),
            ("keys fleet:write", KeyKind::JoinToken, "agent", false),
        ] {
            let terms = KeyTerms { scopes: Some(scopes(wanted)), ..KeyTerms::default() };
            let result = maker(maker_scopes).grant(owner, terms, SystemClock.now());
            assert_eq!(result.is_ok(), given, "{maker_scopes} gives {wanted} to {owner:?}: {result:?}");
        }
    }

    #[test]
    fn new_key_ends_before_its_maker_and_the_configured_maximum() {
        let now = SystemClock.now();
        let day = |n: u32| Some(now.plus(DAY * n));
        for (ends_at, lifetime, owner, wanted, expected) in [
            (None, None, KeyKind::Admin, None, Ok(None)),
            (None, None, KeyKind::Admin, day(9), Ok(day(9))),
            (day(5), None, KeyKind::Admin, None, Ok(day(5))),
            (day(5), None, KeyKind::Generator, None, Ok(day(5))),
            (day(5), None, KeyKind::Agent, None, Ok(day(5))),
            (day(5), None, KeyKind::Admin, day(5), Ok(day(5))),
            (day(5), None, KeyKind::Admin, day(6), Err(())),
            (None, Some(DAY * 3), KeyKind::Admin, None, Ok(day(3))),
            (None, Some(DAY * 3), KeyKind::Admin, day(3), Ok(day(3))),
            (None, Some(DAY * 3), KeyKind::Generator, day(4), Err(())),
            (None, Some(DAY * 3), KeyKind::Agent, None, Ok(None)),
            (None, Some(DAY * 3), KeyKind::JoinToken, day(4), Err(())),
            (day(2), None, KeyKind::JoinToken, day(3), Err(())),
            (day(5), Some(DAY * 3), KeyKind::Admin, None, Ok(day(3))),
            (day(2), Some(DAY * 3), KeyKind::Admin, None, Ok(day(2))),
            (None, None, KeyKind::Admin, Some(now), Err(())),
        ] {
            let maker = Maker { scopes: Preset::Admin.scopes(), networks: Vec::new(), ends_at, lifetime };
            let terms = KeyTerms { expires_at: wanted, ..KeyTerms::default() };
            let end = maker.grant(owner, terms, now).map(|it| it.expires_at).map_err(drop);
            assert_eq!(end, expected, "maker until {ends_at:?}, maximum {lifetime:?}, {owner:?} wants {wanted:?}");
        }
    }

    #[test]
    fn new_key_works_only_from_the_networks_of_its_maker() {
        let networks = |words: &str| -> Vec<SourceNetwork> {
            words.split_whitespace().map(|it| it.parse().expect("a network")).collect()
        };
        let admin = Preset::Admin.scopes();
        let agent = || scopes("agent");
        for (of_maker, by, owner, wanted, expected) in [
            ("", &admin, KeyKind::Admin, "", Some("")),
            ("", &admin, KeyKind::Admin, "10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.20.0.0/16", &admin, KeyKind::Admin, "", Some("10.20.0.0/16")),
            ("10.20.0.0/16", &admin, KeyKind::Generator, "", Some("10.20.0.0/16")),
            ("10.20.0.0/16", &admin, KeyKind::Generator, "10.20.1.0/24", Some("10.20.1.0/24")),
            ("10.20.0.0/16", &admin, KeyKind::AdminReadOnly, "10.0.0.0/8", None),
            ("10.20.0.0/16", &admin, KeyKind::Admin, "10.20.1.0/24 192.0.2.1", None),
            (
                "10.20.0.0/16 192.0.2.0/24",
                &admin,
                KeyKind::Admin,
                "10.20.1.0/24 192.0.2.1",
                Some("10.20.1.0/24 192.0.2.1"),
            ),
            ("10.20.0.0/16", &admin, KeyKind::Agent, "", Some("")),
            ("10.20.0.0/16", &admin, KeyKind::Agent, "192.0.2.1", Some("192.0.2.1")),
            ("10.20.0.0/16", &admin, KeyKind::JoinToken, "", Some("")),
            ("10.20.0.0/16", &agent(), KeyKind::Agent, "", Some("10.20.0.0/16")),
            ("10.20.0.0/16", &agent(), KeyKind::Agent, "192.0.2.1", None),
        ] {
            let maker = Maker { scopes: by.clone(), networks: networks(of_maker), ends_at: None, lifetime: None };
            let given = maker.networks(owner, networks(wanted)).ok();
            assert_eq!(given, expected.map(networks), "{of_maker} gives {wanted} to {owner:?}");
        }
    }

    #[test]
    fn successor_permits_what_the_replaced_keys_permitted() {
        let now = SystemClock.now();
        let office: SourceNetwork = "10.20.0.0/16".parse().expect("a network");
        let jane = ApiKey {
            subject: Some("jane".to_owned()),
            scopes: scopes("stacks:read"),
            source_networks: vec![office],
            ..key(KeyOwner::Admin, Some(now.plus(DAY)), now)
        };
        let later = now.plus(DAY * 10);
        let alone = successor(&[&jane], later).expect("few scopes");
        assert_eq!(alone.subject.as_deref(), Some("jane"));
        assert_eq!((alone.source_networks, alone.expires_at), (vec![office], Some(later.plus(DAY))));
        let robot = ApiKey { scopes: scopes("stacks:write"), ..key(KeyOwner::Admin, None, now) };
        let both = successor(&[&jane, &robot], later).expect("few scopes");
        assert_eq!(both.scopes, Some(scopes("stacks:read stacks:write")));
        assert_eq!((both.subject, both.source_networks, both.expires_at), (None, Vec::new(), None));
        assert_eq!(successor(&[], later), Ok(KeyTerms::default()));
    }

    #[test]
    fn only_usable_keys_with_every_scope_count_as_admins() {
        let now = SystemClock.now();
        let admin = || key(KeyOwner::Admin, None, now);
        let keys: [(&str, Vec<ApiKey>, bool); 7] = [
            ("none", vec![], false),
            ("one", vec![admin()], true),
            ("revoked", vec![ApiKey { deleted_at: Some(now), ..admin() }], false),
            ("expired", vec![ApiKey { expires_at: Some(now), ..admin() }], false),
            ("expires later", vec![ApiKey { expires_at: Some(now.plus(DAY)), ..admin() }], true),
            ("operator", vec![ApiKey { scopes: Preset::Operator.scopes(), ..admin() }], false),
            ("auditor", vec![key(KeyOwner::AdminReadOnly, None, now)], false),
        ];
        for (what, keys, left) in &keys {
            assert_eq!(last_admin(keys, now).is_some(), *left, "{what}");
        }
        let ends = [Some(now.plus(DAY)), None, Some(now.plus(DAY * 2))].map(|end| key(KeyOwner::Admin, end, now));
        assert_eq!(last_admin(&ends, now).map(|key| key.expires_at), Some(None), "no end is the latest end");
        assert_eq!(last_admin([&ends[0], &ends[2]], now).and_then(|key| key.expires_at), Some(now.plus(DAY * 2)));
    }
}

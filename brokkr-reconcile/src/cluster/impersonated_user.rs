//! Users that a client acts as.

/// A user whom a client impersonates, with the groups of the user.
///
/// The client needs the right `impersonate` for the user and for each group
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpersonatedUser {
    /// The name of the user.
    pub name: String,
    /// The groups of the user. The server adds `system:authenticated`.
    pub groups: Vec<String>,
}

impl ImpersonatedUser {
    /// Returns the user as whom an agent writes the objects of a generator.
    pub(crate) fn generator(name: &str) -> Self {
        let name = generator_user(name);
        Self { groups: vec![name.clone()], name }
    }
}

/// Returns the name of the user, and of the user's only group, as whom an agent writes the objects of a generator if it
/// impersonates: `brokkr:generator:<name>`.
pub fn generator_user(name: &str) -> String {
    format!("brokkr:generator:{name}")
}

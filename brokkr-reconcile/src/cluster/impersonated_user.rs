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

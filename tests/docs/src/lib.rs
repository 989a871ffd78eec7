//! The Rust blocks of the book, as doctests.
//!
//! `cargo xtask check docs` fails for a page with Rust blocks that is not listed here.

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../../docs/", $path))]
            pub mod $name {}
        )*
    };
}

pages! {
    cluster_in_memory: "how-to/cluster-in-memory.md",
    controllers: "how-to/controllers.md",
    grants: "how-to/grants.md",
    own_authentication: "how-to/own-authentication.md",
    protect_a_shared_broker: "how-to/protect-a-shared-broker.md",
    targeting_policy: "how-to/targeting-policy.md",
    your_own_control_plane: "tutorials/your-own-control-plane.md",
}

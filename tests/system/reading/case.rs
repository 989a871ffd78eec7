//! One file to be read.

use fastrand::Rng;

/// A file, and the name of its class.
pub(super) type Case = (&'static str, Vec<u8>);

/// One of several, by chance.
pub(super) fn pick<'a, T: ?Sized>(rng: &mut Rng, of: &[&'a T]) -> &'a T {
    of[rng.usize(..of.len())]
}

//! One generated file.

use fastrand::Rng;

/// A file, and the name of its class.
pub(super) type Case = (&'static str, Vec<u8>);

/// Picks one of several at random.
pub(super) fn pick<'a, T: ?Sized>(rng: &mut Rng, of: &[&'a T]) -> &'a T {
    of[rng.usize(..of.len())]
}

//! What `restless` and the tests that watch it must agree on.

/// The highest offset that every file system takes is below 2^43.
const MARK_BITS: u32 = 43;
/// A smaller one counts for nothing.
const MARK_MIN: u64 = 1 << 32;

/// The mark that an image with these random bytes sets.
#[must_use]
pub fn mark(random: [u8; 16]) -> u64 {
    let bits = random.iter().take(8).fold(0, |bits: u64, byte| (bits << 8) | u64::from(*byte));
    (bits >> (u64::BITS - MARK_BITS)) | MARK_MIN
}

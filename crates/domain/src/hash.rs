//! Maps by ids that we made ourselves, and by what only we put into them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rpds::HashTrieMapSync;

/// A map whose keys are ids of ours, or made of them. They are random already and no caller chooses them, so mixing them
/// once is enough.
pub type OwnMap<K, V> = HashMap<K, V, BuildOwnHasher>;
/// As [`OwnMap`], sharing with its older selves what did not change.
pub type OwnTrieMap<K, V> = HashTrieMapSync<K, V, BuildOwnHasher>;
/// Makes an [`OwnHasher`].
pub type BuildOwnHasher = BuildHasherDefault<OwnHasher>;

/// Mixes word by word.
#[derive(Debug, Default)]
pub struct OwnHasher(u64);

impl Hasher for OwnHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            // Multiplying spreads a bit upwards only, and ids differ most in their last bytes.
            self.write_u64(u64::from_be_bytes(*word));
        }
        for byte in rest {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The table looks at the highest and at the lowest bits.
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher as _;

    use uuid::Uuid;

    use super::*;
    use crate::ids::RequestId;

    #[test]
    fn ids_of_one_moment_are_spread() {
        let hasher = BuildOwnHasher::default();
        // Time in front, then a counter, as ids of a burst are.
        let hashes: HashSet<u64> = (0..4_096_u128)
            .map(|number| Uuid::from_u128(0x019a_bcde_f012_7000_8000_0000_0000_0000 | number << 20))
            .map(|id| hasher.hash_one(RequestId::from_uuid(id)))
            .collect();
        let buckets: HashSet<u64> = hashes.iter().map(|hash| hash % 4_096).collect();
        assert_eq!(hashes.len(), 4_096);
        assert!(buckets.len() > 2_000, "{} of 4096 buckets", buckets.len());
    }
}

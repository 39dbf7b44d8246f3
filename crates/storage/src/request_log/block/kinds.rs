//! Which kinds of requests a block has, told without opening it.
//!
//! A Bloom filter over everything that a log filter can name, parts of names aside: it may say that a block has what it
//! has not, but never that it has not what it has. It stands in a column of its own, so that a search reads some hundred
//! bytes of a block instead of all of it. It is stored, so neither the hash nor the places of the bits may change: another
//! way is another version.

use std::collections::BTreeSet;

use tollgate_domain::accounting::Outcome;
use tollgate_domain::ids::{ProfileId, UserId, VirtualKeyId};

use super::Block;
use crate::request_log::LogFilter;

/// The first byte, without keys and models together, and with them. A block whose kinds are of another version is opened.
const SINGLE: u8 = 1;
const TOGETHER: u8 = 2;
/// With four bits set for each kind, one block in eighty is opened in vain.
const BITS_PER_KIND: usize = 10;
const SET_PER_KIND: u64 = 4;
/// As much as SQLite keeps inside of an index page. That is enough for 700 kinds; blocks with more are opened in vain more
/// often.
const MOST_BYTES: usize = 896;
/// Keys and models together are left out where they leave no more bits than this for each kind: one block in forty is opened
/// in vain then.
const FEWEST_BITS_PER_KIND: usize = 8;

/// One thing that requests can be told apart by, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind(u64);

impl Kind {
    fn of_key(key: VirtualKeyId) -> Self {
        Self::hash(0, key.uuid().as_bytes())
    }

    fn of_user(user: UserId) -> Self {
        Self::hash(1, user.uuid().as_bytes())
    }

    fn of_profile(profile: ProfileId) -> Self {
        Self::hash(2, &profile.0.to_le_bytes())
    }

    fn of_provider(provider: &str) -> Self {
        Self::hash(3, provider.as_bytes())
    }

    fn of_model(model: &str) -> Self {
        Self::hash(4, model.as_bytes())
    }

    fn of_outcome(outcome: Outcome) -> Self {
        Self::hash(5, &[outcome.code()])
    }

    fn of_shadowed(is_shadowed: bool) -> Self {
        Self::hash(6, &[u8::from(is_shadowed)])
    }

    /// Both at once: most blocks have most keys and most models, and few have the two in one request.
    fn of_key_and_model(key: VirtualKeyId, model: &str) -> Self {
        let value: Vec<u8> = [key.uuid().as_bytes(), model.as_bytes()].concat();
        Self::hash(7, &value)
    }

    /// FNV-1a, whose bits are then spread over the whole number.
    fn hash(dimension: u8, value: &[u8]) -> Self {
        let bytes = std::iter::once(&dimension).chain(value);
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        Self(hash ^ (hash >> 33))
    }

    /// The bits that stand for it among those of so many bytes: the place of the byte and the bit in it.
    fn bits(self, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
        let (start, step) = (self.0 >> 32, self.0 | 1);
        (0..SET_PER_KIND).map(move |number| {
            let point = start.wrapping_add(step.wrapping_mul(number)) & 0xffff_ffff;
            let bit = (point * 8 * bytes as u64) >> 32;
            (usize::try_from(bit / 8).unwrap_or(0), 1 << (bit % 8))
        })
    }

    fn is_in(self, bytes: &[u8]) -> bool {
        self.bits(bytes.len())
            .all(|(byte, bit)| bytes.get(byte).is_none_or(|it| it & bit != 0))
    }
}

impl Block {
    /// What [`Wanted::may_be_in`] reads.
    pub(crate) fn kinds(&self) -> Vec<u8> {
        let mut kinds = Vec::new();
        for subject in &self.subjects {
            kinds.push(Kind::of_key(subject.key));
            kinds.extend(subject.user.map(Kind::of_user));
            kinds.extend(subject.profile.map(Kind::of_profile));
        }
        for target in &self.targets {
            kinds.push(Kind::of_provider(target.provider.as_str()));
            kinds.push(Kind::of_model(&target.model));
        }
        let has_outcome = |outcome: &Outcome| self.rows.iter().any(|row| row.outcome == *outcome);
        let outcomes = Outcome::ALL.into_iter().filter(has_outcome);
        kinds.extend(outcomes.map(Kind::of_outcome));
        let has_shadowed =
            |wanted: &bool| self.rows.iter().any(|row| row.shadow.is_some() == *wanted);
        let shadowed = [true, false].into_iter().filter(has_shadowed);
        kinds.extend(shadowed.map(Kind::of_shadowed));
        let pairs: BTreeSet<_> = (self.rows.iter())
            .map(|row| (row.subject, row.target))
            .collect();
        let has_room = (kinds.len() + pairs.len()) * FEWEST_BITS_PER_KIND <= MOST_BYTES * 8;
        let version = if has_room { TOGETHER } else { SINGLE };
        if has_room {
            kinds.extend(pairs.into_iter().map(|(subject, target)| {
                Kind::of_key_and_model(self.subjects[subject].key, &self.targets[target].model)
            }));
        }
        kinds.sort_unstable();
        kinds.dedup();
        let bytes = (kinds.len() * BITS_PER_KIND).div_ceil(8).min(MOST_BYTES);
        let mut content = vec![0; 1 + bytes];
        content[0] = version;
        for kind in kinds {
            for (byte, bit) in kind.bits(bytes) {
                content[1 + byte] |= bit;
            }
        }
        content
    }
}

/// What every request has that a filter lets through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    kinds: Vec<Kind>,
    key_and_model: Option<Kind>,
}

impl Wanted {
    pub(crate) fn by(filter: &LogFilter) -> Self {
        let kinds = [
            filter.key.map(Kind::of_key),
            filter.user.map(Kind::of_user),
            filter.profile.map(Kind::of_profile),
            (filter.provider.as_ref()).map(|provider| Kind::of_provider(provider.as_str())),
            filter.model.as_deref().map(Kind::of_model),
            filter.outcome.map(Kind::of_outcome),
            filter.is_shadowed.map(Kind::of_shadowed),
        ];
        let key_and_model = filter.key.zip(filter.model.as_deref());
        Self {
            kinds: kinds.into_iter().flatten().collect(),
            key_and_model: key_and_model.map(|(key, model)| Kind::of_key_and_model(key, model)),
        }
    }

    /// Whether every block may have such requests.
    pub(crate) const fn is_anything(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Whether a block may have such requests, by its [`Block::kinds`]; earlier releases wrote none.
    pub(crate) fn may_be_in(&self, kinds: Option<&[u8]>) -> bool {
        let (bits, together) = match kinds {
            Some([SINGLE, bits @ ..]) => (bits, None),
            Some([TOGETHER, bits @ ..]) => (bits, self.key_and_model),
            _ => return true,
        };
        let is_in = |kind: Kind| kind.is_in(bits);
        together.is_none_or(is_in) && self.kinds.iter().copied().all(is_in)
    }
}

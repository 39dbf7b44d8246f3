//! Entries in order, and found by name in one step.

use std::cmp::Ordering;

use super::Entry;

/// Entries sorted by provider and model, no model twice.
///
/// The look-up runs several times for each request. It compares hashes first, so that of five thousand names only the
/// right one is read, and it builds no lower-case copy of the name.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    /// The hash of each entry's name and where it is, by hash.
    places: Vec<(u64, u32)>,
}

impl Index {
    /// Of two entries for one model the later one stays.
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        // A stable sort of the reversed list puts the later one first, where it survives.
        entries.reverse();
        entries.sort_by(order);
        entries.dedup_by(|a, b| order(a, b).is_eq());
        let mut places: Vec<(u64, u32)> = (0..)
            .zip(&entries)
            .map(|(at, entry)| (hash(&entry.provider, &entry.model), at))
            .collect();
        places.sort_unstable();
        Self { entries, places }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a model; the provider's name in lower case, the model's in any.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<&Entry> {
        let wanted = hash(provider, model);
        let first = self.places.partition_point(|(hash, _)| *hash < wanted);
        self.places[first..]
            .iter()
            .take_while(|(hash, _)| *hash == wanted)
            .filter_map(|(_, at)| self.entries.get(usize::try_from(*at).ok()?))
            .find(|entry| *entry.provider == *provider && entry.model.eq_ignore_ascii_case(model))
    }

    /// All entries of a provider, in order.
    pub(super) fn of_provider(&self, provider: &str) -> &[Entry] {
        let start = self
            .entries
            .partition_point(|entry| &*entry.provider < provider);
        let end = self
            .entries
            .partition_point(|entry| &*entry.provider <= provider);
        &self.entries[start..end]
    }
}

fn order(a: &Entry, b: &Entry) -> Ordering {
    a.provider
        .cmp(&b.provider)
        .then_with(|| compare_models(&a.model, &b.model))
}

/// The order of names, which regards no case.
pub(super) fn compare_models(a: &str, b: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

/// FNV-1a. The entries are ours and an administrator's, so nobody is out to make hashes collide.
fn hash(provider: &str, model: &str) -> u64 {
    provider
        .bytes()
        .chain([b'/'])
        .chain(model.bytes().map(|byte| byte.to_ascii_lowercase()))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

//! Which rows of a long list a search or filter lets through.

use std::sync::Arc;

use super::List;
use super::segments::{self, POSITIONS, Segment};
use crate::error::Result;
use crate::page::PageRequest;
use crate::sql::{Query, corrupt, query};
use crate::tx::Db;

/// Positions of one word; the statement in [`read`] has it too.
const WORD: i64 = 32;
const WORDS_OF_SEGMENT: i64 = 16;
const _: () = assert!(WORDS_OF_SEGMENT * WORD == POSITIONS);

/// The words of a segment.
type Words = [u32; 16];

/// A bit for each position of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Matches {
    parts: Vec<Part>,
}

/// The bits of a segment, as of one of its generations.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    segment: Segment,
    words: Words,
}

impl Part {
    fn amount(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    fn positions(&self) -> impl Iterator<Item = i64> + '_ {
        let start = self.segment.number * POSITIONS;
        (start..start + POSITIONS)
            .zip(bits(&self.words))
            .filter_map(|(position, is_match)| is_match.then_some(position))
    }
}

fn bits(words: &[u32]) -> impl Iterator<Item = bool> + '_ {
    words
        .iter()
        .flat_map(|word| (0..WORD).map(move |bit| (word >> bit) & 1 == 1))
}

impl Matches {
    /// How many rows there are.
    pub(super) fn total(&self) -> u64 {
        self.parts.iter().map(Part::amount).sum()
    }

    /// The positions on a page.
    pub(super) fn positions(&self, page: PageRequest) -> Vec<i64> {
        let limit = page.limit as usize;
        let (mut skip, mut positions) = (page.offset, Vec::new());
        for part in &self.parts {
            let amount = part.amount();
            if amount <= skip {
                skip -= amount;
                continue;
            }
            let passed = usize::try_from(skip).unwrap_or(usize::MAX);
            positions.extend(part.positions().skip(passed).take(limit - positions.len()));
            skip = 0;
            if positions.len() >= limit {
                break;
            }
        }
        positions
    }

    /// The change counts of all its segments together.
    pub(super) fn generation(&self) -> i64 {
        let generations = self.parts.iter().map(|part| part.segment.generation);
        generations.fold(0, i64::saturating_add)
    }

    /// How much memory it takes, in segments.
    pub(super) const fn size(&self) -> usize {
        self.parts.len()
    }

    /// The part of a segment, if it is not older than the segment.
    fn part(&self, segment: Segment) -> Option<&Part> {
        let found = (self.parts)
            .binary_search_by_key(&segment.number, |part| part.segment.number)
            .ok()?;
        self.parts
            .get(found)
            .filter(|part| part.segment.generation == segment.generation)
    }
}

/// The rows that `push` lets through, which appends `condition`.
pub(super) async fn matching(
    db: &mut Db<'_>,
    list: &List,
    condition: Query,
    push: impl Fn(&mut Query),
) -> Result<Arc<Matches>> {
    // A transaction sees what nobody else does yet, and maybe never.
    if let Db::Tx(_) = db {
        return renewed(db, list, &Matches::default(), push)
            .await
            .map(Arc::new);
    }
    let known = db.store().known().get(list.kind, &condition);
    if known.generation() == segments::sums(db, list.kind).await?.generation {
        return Ok(known);
    }
    let matches = Arc::new(renewed(db, list, &known, push).await?);
    db.store()
        .known()
        .put(list.kind, condition, Arc::clone(&matches));
    Ok(matches)
}

/// What is known, with the segments read again that were changed since.
async fn renewed(
    db: &mut Db<'_>,
    list: &List,
    known: &Matches,
    push: impl Fn(&mut Query),
) -> Result<Matches> {
    // The generations are read first: what is written meanwhile makes the bits newer than they claim, never older.
    let segments = segments::all(db, list.kind).await?;
    let mut parts = Vec::with_capacity(segments.len());
    let mut rest = segments.as_slice();
    while let Some((segment, later)) = rest.split_first() {
        if let Some(part) = known.part(*segment) {
            parts.push(part.clone());
            rest = later;
            continue;
        }
        let is_stale = |segment: &&Segment| known.part(**segment).is_none();
        let stale = rest.iter().take_while(is_stale).count();
        let (run, later) = rest.split_at(stale);
        parts.extend(read(db, list, run, &push).await?);
        rest = later;
    }
    Ok(Matches { parts })
}

/// The parts of neighbouring segments, read from the list.
async fn read(
    db: &mut Db<'_>,
    list: &List,
    run: &[Segment],
    push: impl Fn(&mut Query),
) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = (run.iter())
        .map(|&segment| Part {
            segment,
            words: Words::default(),
        })
        .collect();
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(parts);
    };
    // Each bit comes once, so their sum is their union.
    let mut statement = query(
        "select position / 32 as word, cast(sum(cast(1 as bigint) << cast(position % 32 as integer)) as bigint) as bits from (select ",
    );
    statement.push(list.position);
    statement.push(" as position from ");
    statement.push(list.table);
    statement.push(" where ");
    statement.push(list.position);
    statement.push(" >= ");
    statement.push_value(first.number * POSITIONS);
    statement.push(" and ");
    statement.push(list.position);
    statement.push(" < ");
    statement.push_value((last.number + 1) * POSITIONS);
    push(&mut statement);
    statement.push(") as matching group by position / 32");
    for row in db.rows(statement).await? {
        let word: i64 = row.get("word")?;
        let bits: i64 = row.get("bits")?;
        let number = word.div_euclid(WORDS_OF_SEGMENT);
        let found = parts.binary_search_by_key(&number, |part| part.segment.number);
        // A segment that began meanwhile is not among those that were asked for.
        if let Some(part) = found.ok().and_then(|found| parts.get_mut(found)) {
            let place = usize::try_from(word.rem_euclid(WORDS_OF_SEGMENT)).unwrap_or_default();
            part.words[place] = u32::try_from(bits).map_err(|error| corrupt("bits", error))?;
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(parts: &[(i64, &[i64])]) -> Matches {
        let part = |&(number, positions): &(i64, &[i64])| {
            let mut words = Words::default();
            for position in positions {
                let place = usize::try_from(position % POSITIONS).unwrap();
                words[place / 32] |= 1 << (place % 32);
            }
            Part {
                segment: Segment {
                    number,
                    generation: 1,
                },
                words,
            }
        };
        Matches {
            parts: parts.iter().map(part).collect(),
        }
    }

    #[test]
    fn pages_go_over_the_edges_of_words_and_segments() {
        let matches = matches(&[(0, &[3, 31, 32, 511]), (1, &[]), (4, &[2_048, 2_049])]);
        let on_page = |limit, offset| matches.positions(PageRequest { limit, offset });
        assert_eq!(matches.total(), 6);
        assert_eq!(on_page(9, 0), [3, 31, 32, 511, 2_048, 2_049]);
        assert_eq!(on_page(2, 3), [511, 2_048]);
        assert_eq!(on_page(1, 5), [2_049]);
        assert!(on_page(5, 6).is_empty());
        assert!(on_page(0, 0).is_empty());
    }

    #[test]
    fn a_part_of_another_generation_is_not_used() {
        let matches = matches(&[(0, &[1]), (4, &[])]);
        let segment = |number, generation| Segment { number, generation };
        assert!(matches.part(segment(4, 1)).is_some());
        assert!(matches.part(segment(4, 2)).is_none());
        assert!(matches.part(segment(3, 1)).is_none());
        assert_eq!(matches.generation(), 2);
    }
}

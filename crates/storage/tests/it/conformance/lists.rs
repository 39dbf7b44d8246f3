//! Long lists against a plain one: whatever is written between, the pages together are the list, and totals are counts.

use tollgate_domain::ids::{ProfileId, RoleId};
use tollgate_domain::snapshot::KeyHolder;
use tollgate_storage::profiles::{self, NewProfile, ProfileFilter};
use tollgate_storage::users::{self, UserFilter};
use tollgate_storage::virtual_keys::{self, VirtualKeyFilter};
use tollgate_storage::{Page, PageRequest, Store, Tx};

use crate::fixture::{Fixture, at, in_tx, key, key_id, on_both_engines, user, user_id};

/// More than a segment, so that pages go over its edge, and so many that `team` has common pieces.
const MANY: u64 = 560;
const SOME: u64 = 60;
const WORDS: [&str; 6] = [
    "atlas",
    "Borealis",
    "cobalt",
    "Ember 50%",
    "fjord_x",
    "Åland",
];
/// What is looked for: nothing, common and rare pieces, one rare among common ones, wildcards, too short to be indexed,
/// and what nothing has.
const WANTED: [Option<&str>; 11] = [
    None,
    Some("team"),
    Some("  ALAND "),
    Some("åland"),
    Some("0055"),
    Some("team cobalt 0"),
    Some("team e"),
    Some("0% "),
    Some("d_x"),
    Some("m "),
    Some("nobody"),
];

/// A row as the plain list has it. `has_mark` is what the list's other filter asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    number: u64,
    name: String,
    has_mark: bool,
}

/// A long list under test.
#[derive(Debug, Clone, Copy)]
enum Long {
    Users(RoleId),
    Keys,
    Profiles,
}

impl Long {
    /// Counts what the index of pieces has of the list.
    const fn count_pieces(self) -> &'static str {
        match self {
            Self::Users(_) => {
                "select cast(count(*) as text) from search_grams where kind = 'users'"
            }
            Self::Keys => {
                "select cast(count(*) as text) from search_grams where kind = 'virtual_keys'"
            }
            Self::Profiles => {
                "select cast(count(*) as text) from search_grams where kind = 'access_profiles'"
            }
        }
    }

    async fn create(self, tx: &mut Tx, row: &Plain) {
        match self {
            Self::Users(role) => users::create(tx, &user_of(row, role)).await.unwrap(),
            Self::Keys => {
                let mut hash = [0; 32];
                hash[..8].copy_from_slice(&row.number.to_be_bytes());
                virtual_keys::create(tx, &key_of(row), &hash).await.unwrap();
            }
            Self::Profiles => {
                let new = NewProfile {
                    name: row.name.clone(),
                    description: None,
                    is_active: true,
                    tags: tags(row),
                    content: tollgate_domain::access::profile::ProfileContent::default(),
                };
                let made = profiles::create(tx, new, "ada", at(1)).await.unwrap();
                assert_eq!(made.id.0, i64::try_from(row.number).unwrap());
            }
        }
    }

    async fn update(self, tx: &mut Tx, row: &Plain) {
        match self {
            Self::Users(role) => assert!(users::update(tx, &user_of(row, role)).await.unwrap()),
            Self::Keys => assert!(virtual_keys::update(tx, &key_of(row)).await.unwrap()),
            Self::Profiles => {
                let mut stored = profiles::find(&mut *tx, profile_id(row))
                    .await
                    .unwrap()
                    .unwrap();
                stored.name.clone_from(&row.name);
                stored.tags = tags(row);
                profiles::update(tx, stored, "bob").await.unwrap();
            }
        }
    }

    async fn delete(self, tx: &mut Tx, row: &Plain) {
        let number = u128::from(row.number);
        assert!(match self {
            Self::Users(_) => users::delete(tx, user_id(number)).await.unwrap(),
            Self::Keys => virtual_keys::delete(tx, key_id(number)).await.unwrap(),
            Self::Profiles => profiles::delete(tx, profile_id(row)).await.unwrap(),
        });
    }

    /// The names on a page, and the total.
    async fn page(
        self,
        db: impl Into<tollgate_storage::Db<'_>>,
        wanted: Option<&str>,
        is_marked: bool,
        page: PageRequest,
    ) -> (Vec<String>, u64) {
        let search = wanted.map(str::to_owned);
        match self {
            Self::Users(role) => {
                let role = is_marked.then_some(role);
                let found = users::list(db, &UserFilter { search, role }, page)
                    .await
                    .unwrap();
                names(found, |user| user.name)
            }
            Self::Keys => {
                let user = is_marked.then(|| user_id(OWNER));
                let filter = VirtualKeyFilter {
                    search,
                    user,
                    group: None,
                };
                let found = virtual_keys::list(db, &filter, page).await.unwrap();
                names(found, |key| key.name)
            }
            Self::Profiles => {
                let tags = is_marked.then(|| "marked".to_owned()).into_iter().collect();
                let filter = ProfileFilter {
                    search,
                    tags,
                    is_active: None,
                };
                let found = profiles::list(db, &filter, page).await.unwrap();
                names(found, |profile| profile.name)
            }
        }
    }
}

fn user_of(row: &Plain, role: RoleId) -> users::User {
    let mut user = user(row.number.into(), &row.name);
    user.email = format!("{}@x", row.number);
    user.role_id = row.has_mark.then_some(role);
    user
}

fn key_of(row: &Plain) -> virtual_keys::VirtualKey {
    let holder = if row.has_mark {
        KeyHolder::User(user_id(OWNER))
    } else {
        KeyHolder::Itself
    };
    key(row.number.into(), &row.name, holder)
}

/// Whose the marked keys are.
const OWNER: u128 = 999_999;

fn tags(row: &Plain) -> Vec<String> {
    let mark = row.has_mark.then(|| "Marked".to_owned());
    mark.into_iter().chain(["all".to_owned()]).collect()
}

fn profile_id(row: &Plain) -> ProfileId {
    ProfileId(i64::try_from(row.number).unwrap())
}

fn names<T>(page: Page<T>, name: fn(T) -> String) -> (Vec<String>, u64) {
    (page.items.into_iter().map(name).collect(), page.total)
}

/// Numbers that look random, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn row(&mut self, number: u64) -> Plain {
        let word = WORDS[usize::try_from(self.below(6)).unwrap()];
        // A few have the rare piece of `team e`, and not its common ones.
        let unit = if self.below(40) == 0 { "Beam" } else { "Team" };
        Plain {
            number,
            name: format!("{unit} {word} {number:05}"),
            has_mark: self.below(3) == 0,
        }
    }
}

fn matching(plain: &[Plain], wanted: Option<&str>, is_marked: bool) -> Vec<String> {
    let wanted = wanted
        .map(|wanted| wanted.trim().to_lowercase())
        .unwrap_or_default();
    plain
        .iter()
        .filter(|row| (!is_marked || row.has_mark) && row.name.to_lowercase().contains(&wanted))
        .map(|row| row.name.clone())
        .collect()
}

/// So many that a list has two to five pages.
fn rows_on_a_page(plain: &[Plain], chance: &mut Chance) -> u64 {
    let rows = plain.len() as u64;
    rows / 4 + chance.below(rows / 2)
}

async fn check_against(store: &Store, list: Long, plain: &[Plain], chance: &mut Chance) {
    for wanted in WANTED {
        for is_marked in [false, true] {
            let expected = matching(plain, wanted, is_marked);
            let limit = u32::try_from(rows_on_a_page(plain, chance)).unwrap();
            let mut together = Vec::new();
            loop {
                let page = PageRequest {
                    limit,
                    offset: together.len() as u64,
                };
                let (names, total) = list.page(store, wanted, is_marked, page).await;
                assert_eq!(
                    total,
                    expected.len() as u64,
                    "{list:?} {wanted:?} {is_marked}"
                );
                let is_last = names.len() < limit as usize;
                together.extend(names);
                if is_last {
                    break;
                }
            }
            assert_eq!(together, expected, "{list:?} {wanted:?} {is_marked}");
        }
    }
}

async fn check(fixture: &Fixture, list: Long, rows: u64) {
    let store = &fixture.store;
    let mut chance = Chance(7);
    let mut plain: Vec<Plain> = (1..=rows).map(|number| chance.row(number)).collect();
    in_tx!(store, tx => for row in &plain {
        list.create(&mut tx, row).await;
    });
    check_against(store, list, &plain, &mut chance).await;
    let mut last = rows;
    for _ in 0..2 {
        in_tx!(store, tx => for _ in 0..20 {
            let place = usize::try_from(chance.below(plain.len() as u64)).unwrap();
            match chance.below(3) {
                0 => list.delete(&mut tx, &plain.remove(place)).await,
                1 => {
                    plain[place] = chance.row(plain[place].number);
                    list.update(&mut tx, &plain[place]).await;
                }
                _ => {
                    last += 1;
                    plain.push(chance.row(last));
                    list.create(&mut tx, &plain[plain.len() - 1]).await;
                }
            }
        });
        check_against(store, list, &plain, &mut chance).await;
    }
    what_was_rolled_back_is_forgotten(store, list, &plain).await;
    in_tx!(store, tx => for row in &plain {
        list.delete(&mut tx, row).await;
    });
    assert_eq!(fixture.read_text(list.count_pieces()).await, "0");
}

/// A list that was read inside of a transaction has its writes, and leaves nothing behind.
async fn what_was_rolled_back_is_forgotten(store: &Store, list: Long, plain: &[Plain]) {
    let all = PageRequest {
        limit: 2_000,
        offset: 0,
    };
    for wanted in [None, Some("team"), Some("cobalt")] {
        let expected = matching(plain, wanted, false);
        let mut tx = store.begin().await.unwrap();
        let gone = &expected[0];
        list.delete(&mut tx, plain.iter().find(|row| row.name == *gone).unwrap())
            .await;
        let (inside, total) = list.page(&mut tx, wanted, false, all).await;
        assert_eq!(
            (inside.as_slice(), total),
            (&expected[1..], expected.len() as u64 - 1)
        );
        let (outside, total) = list.page(store, wanted, false, all).await;
        assert_eq!(
            (outside.as_slice(), total),
            (expected.as_slice(), expected.len() as u64)
        );
        tx.rollback().await.unwrap();
        let (after, _) = list.page(store, wanted, false, all).await;
        assert_eq!(after, expected);
    }
}

on_both_engines! {
    async fn users_are_paged_as_a_plain_list(fixture: &Fixture) {
        let viewer = tollgate_storage::roles::find_by_name(&fixture.store, "Viewer").await.unwrap().unwrap();
        super::check(fixture, Long::Users(viewer.id), MANY).await;
    }

    async fn keys_are_paged_as_a_plain_list(fixture: &Fixture) {
        in_tx!(fixture.store, tx => users::create(&mut tx, &user(OWNER, "owner")).await.unwrap());
        super::check(fixture, Long::Keys, SOME).await;
    }

    async fn profiles_are_paged_as_a_plain_list(fixture: &Fixture) {
        super::check(fixture, Long::Profiles, SOME).await;
    }

    async fn tags_of_few_and_of_very_many_profiles_are_found(fixture: &Fixture) {
        let mut plain: Vec<Plain> = (1..=300).map(|number| Chance(number).row(number)).collect();
        for row in &mut plain {
            row.has_mark = row.number % 100 == 0;
        }
        in_tx!(fixture.store, tx => for row in &plain {
            Long::Profiles.create(&mut tx, row).await;
        });
        for (tag, offset, on_page, expected) in [("all", 290, 10, 300), ("MARKED", 1, 2, 3), ("none", 0, 0, 0)] {
            let filter = ProfileFilter { tags: vec![tag.to_owned()], ..ProfileFilter::default() };
            let page = PageRequest { limit: 25, offset };
            let found = profiles::list(&fixture.store, &filter, page).await.unwrap();
            assert_eq!((found.items.len(), found.total), (on_page, expected), "{tag}");
        }
    }
}

//! Users, keys and profiles get positions and segments (step 11).

use std::collections::BTreeSet;

use tollgate_domain::ids::ProfileId;
use tollgate_domain::snapshot::KeyHolder;
use tollgate_storage::profiles::ProfileFilter;
use tollgate_storage::users::UserFilter;
use tollgate_storage::virtual_keys::VirtualKeyFilter;
use tollgate_storage::{Page, PageRequest, profiles, users, virtual_keys};
use tollgate_testkit::test_db::TestDb;

use super::{Old, upgrades_on_both_engines};
use crate::fixture::{at, in_tx, key, key_id, profile, user, user_id};

/// More than two segments, and a piece of a third.
const ROWS: u128 = 1_100;

/// Three in a row share an instant, so that ids have to order them.
fn created(number: u128) -> i64 {
    at(i64::try_from(number / 3).unwrap()).as_micros()
}

/// The numbers of all rows in an order that has nothing to do with theirs.
fn shuffled() -> impl Iterator<Item = u128> {
    (0..ROWS).map(|step| step * 7 % ROWS + 1)
}

async fn fill(old: &Old) {
    let people: Vec<String> = shuffled()
        .map(|number| {
            let (id, created) = (user_id(number), created(number));
            format!(
                "'{id}', 'U{number}', 'u{number}@x.example', 'u{number}@x.example', true, 'u{number}', {created}, {created}"
            )
        })
        .collect();
    old.insert(
        "users (id, name, email, email_key, is_active, search_text, created_at, updated_at)",
        &people,
    )
    .await;
    let keys: Vec<String> = shuffled()
        .map(|number| {
            let (id, user, created) = (key_id(number), user_id(number), created(number));
            let hash = old.blob(&number.to_be_bytes());
            format!(
                "'{id}', 'K{number}', 'k{number}', {hash}, 'sk-tg-…', '{user}', false, true, '{{}}', 'k{number}', \
                 {created}, {created}"
            )
        })
        .collect();
    old.insert(
        "virtual_keys (id, name, name_key, secret_hash, masked_value, user_id, is_managed, is_active, content,
             search_text, created_at, updated_at)",
        &keys,
    )
    .await;
    let templates: Vec<String> = (1..=ROWS)
        .map(|number| {
            let created = created(number);
            format!(
                "'P{number}', 'p{number}', true, 1, '[]', '{{}}', 'p{number}', {created}, {created}"
            )
        })
        .collect();
    old.insert(
        "access_profiles (name, name_key, is_active, version, tags, content, search_text, created_at, updated_at)",
        &templates,
    )
    .await;
    // Some were deleted: the segments have gaps.
    old.run("delete from access_profiles where id % 10 = 0".to_owned())
        .await;
    // What the earlier layout counted, wrong or right, is not looked at any more.
    old.run(
        "delete from totals;
         insert into totals (kind, amount) values ('users', 3), ('virtual_keys', 3), ('access_profiles', 3)"
            .to_owned(),
    )
    .await;
}

/// Everything in the list, page by page, and the total that each page told.
async fn walk<T>(
    list: impl AsyncFn(PageRequest) -> tollgate_storage::Result<Page<T>>,
) -> (Vec<T>, BTreeSet<u64>) {
    let (mut all, mut totals) = (Vec::new(), BTreeSet::new());
    loop {
        let offset = u64::try_from(all.len()).unwrap();
        let page = list(PageRequest { limit: 97, offset }).await.unwrap();
        totals.insert(page.total);
        if page.items.is_empty() {
            return (all, totals);
        }
        all.extend(page.items);
    }
}

upgrades_on_both_engines! {
    async fn old_rows_are_listed_in_the_order_in_which_they_were_made(old: Old from 10) {
        fill(&old).await;
        let (store, _db) = old.upgraded().await;
        let (people, totals) = walk(async |page| users::list(&store, &UserFilter::default(), page).await).await;
        let ids: Vec<_> = people.iter().map(|user| user.id).collect();
        assert_eq!(ids, (1..=ROWS).map(user_id).collect::<Vec<_>>());
        assert_eq!(totals, [1_100].into());
        let (keys, totals) = walk(async |page| virtual_keys::list(&store, &VirtualKeyFilter::default(), page).await).await;
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        assert_eq!(ids, (1..=ROWS).map(key_id).collect::<Vec<_>>());
        assert_eq!(totals, [1_100].into());
        let (templates, totals) = walk(async |page| profiles::list(&store, &ProfileFilter::default(), page).await).await;
        let ids: Vec<_> = templates.iter().map(|profile| profile.id).collect();
        let left = (1..=1_100).filter(|id| id % 10 != 0).map(ProfileId);
        assert_eq!(ids, left.collect::<Vec<_>>());
        assert_eq!(totals, [990].into());
        // A search that selects too much for the index reads the segments.
        let filter = UserFilter { search: Some("u1".to_owned()), role: None };
        let (found, totals) = walk(async |page| users::list(&store, &filter, page).await).await;
        let expected = (1..=ROWS).filter(|number| number.to_string().starts_with('1')).map(user_id);
        assert_eq!(found.iter().map(|user| user.id).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        assert_eq!(totals.len(), 1);
        store.close().await;
    }

    async fn lists_of_old_rows_grow_and_shrink(old: Old from 10) {
        fill(&old).await;
        let (store, _db) = old.upgraded().await;
        in_tx!(store, tx => {
            users::create(&mut tx, &user(5_000, "Last")).await.unwrap();
            virtual_keys::create(&mut tx, &key(5_000, "last", KeyHolder::Itself), &[9; 32]).await.unwrap();
            profiles::create(&mut tx, profile("Last"), "ada", at(0)).await.unwrap();
            users::delete(&mut tx, user_id(513)).await.unwrap();
            profiles::delete(&mut tx, ProfileId(1)).await.unwrap();
        });
        let last = |total: u64| PageRequest { limit: 1, offset: total - 1 };
        let page = users::list(&store, &UserFilter::default(), last(1_100)).await.unwrap();
        assert_eq!((page.total, page.items[0].id), (1_100, user_id(5_000)));
        // The user's key went with the user.
        let page = virtual_keys::list(&store, &VirtualKeyFilter::default(), last(1_100)).await.unwrap();
        assert_eq!((page.total, page.items[0].id), (1_100, key_id(5_000)));
        let page = profiles::list(&store, &ProfileFilter::default(), last(990)).await.unwrap();
        assert_eq!((page.total, page.items[0].name.as_str()), (990, "Last"));
        assert!(page.items[0].id > ProfileId(1_100), "no id is given twice");
        let filter = UserFilter { search: Some("las".to_owned()), role: None };
        assert_eq!(users::list(&store, &filter, PageRequest::default()).await.unwrap().total, 1);
        store.close().await;
    }
}

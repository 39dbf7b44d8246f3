//! Columns that later steps added to rows that were there: amounts in doubt (8), rotations (9), repeated answers (10) and
//! the ends of copies (14).

use tollgate_domain::ids::{CopyId, ProfileId};
use tollgate_domain::{Timestamp, Usd};
use tollgate_storage::PageRequest;
use tollgate_storage::copies::{self, expiry};
use tollgate_storage::idempotency::{self, Recorded, RecordedAnswer};
use tollgate_storage::in_doubt::{self, InDoubtFilter};
use tollgate_storage::profiles::{self, rotation};
use tollgate_testkit::test_db::TestDb;

use super::{Old, upgrades_on_both_engines};
use crate::fixture::journal::{amount, facts, request};
use crate::fixture::{at, in_tx, user_id, uuid};

async fn add_profile(old: &Old) {
    old.run(format!(
        "insert into access_profiles (name, name_key, is_active, version, tags, content, search_text, next_rotation_at,
             created_at, updated_at)
         values ('P', 'p', true, 1, '[]', '{{\"auto_rotation_interval_ns\": 86400000000000}}', 'p', {next}, {now}, {now})",
        now = at(0).as_micros(),
        next = at(60).as_micros(),
    ))
    .await;
}

/// A copy of the profile for each of these ends.
async fn add_copies(old: &Old, ends: &[Option<Timestamp>]) {
    let now = at(0).as_micros();
    for (number, end) in (1_u128..).zip(ends) {
        let user = user_id(number);
        old.run(format!(
            "insert into users (id, name, email, email_key, is_active, search_text, created_at, updated_at, position)
             values ('{user}', 'U', 'u{number}@x', 'u{number}@x', true, 'u', {now}, {now}, {number});
             insert into user_copies (id, user_id, parent_profile_id, name, profile_version, is_active, expires_at,
                 priority, assigned_at, source, content, created_at, updated_at)
             values ('{copy}', '{user}', 1, 'P', 1, true, {end}, 0, {now}, 'hand', '{{}}', {now}, {now})",
            copy = copy_id(number),
            end = instant(*end),
        ))
        .await;
    }
}

/// As SQL writes it.
fn instant(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "null".to_owned(), |at| at.as_micros().to_string())
}

fn copy_id(number: u128) -> CopyId {
    CopyId::from_uuid(uuid(number))
}

upgrades_on_both_engines! {
    async fn copies_with_an_end_are_told_of_once(old: Old from 13) {
        add_profile(&old).await;
        add_copies(&old, &[Some(at(5)), None, Some(at(3)), Some(at(900))]).await;
        let (store, _db) = old.upgraded().await;
        let due = expiry::due(&store, at(10), 10).await.unwrap();
        assert_eq!(due, [copy_id(3), copy_id(1)]);
        in_tx!(store, tx => assert!(expiry::note(&mut tx, copy_id(3), at(10)).await.unwrap()));
        assert_eq!(expiry::due(&store, at(10), 10).await.unwrap(), [copy_id(1)]);
        assert_eq!(expiry::due(&store, at(900), 10).await.unwrap(), [copy_id(1), copy_id(4)]);
        let kept = copies::find(&store, copy_id(4)).await.unwrap().unwrap();
        assert_eq!(kept.copy.expires_at, Some(at(900)));
        store.close().await;
    }

    async fn amounts_in_doubt_are_read_without_what_was_not_kept(old: Old from 7) {
        let (old_facts, charge) = (facts(1), amount(1, 3_600, 90));
        for (number, resolved) in [(1, None), (2, Some(at(15)))] {
            old.run(format!(
                r#"insert into in_doubt (request_id, facts, charges, at, resolved_at) values ('{request}',
                '{{"at": {at}, "key": "{key}", "user": "{user}", "copy": null, "profile": 4, "profile_version": 2,
                  "provider": "openai", "model": "gpt-4o", "endpoint": "chat_completions", "is_stream": true,
                  "is_bound": false, "reserved_cost": 90, "reserved_tokens": 40}}',
                '[{{"line": "{line}", "kind": {kind}, "duration": {duration}, "window": {window}, "start": {start},
                  "end": {end}, "amount": 90}}]', {at}, {resolved})"#,
                request = request(number),
                at = old_facts.at.as_micros(),
                key = old_facts.key,
                user = old_facts.user.unwrap(),
                line = charge.key.line,
                kind = charge.key.kind.code(),
                duration = charge.key.duration.code(),
                window = charge.key.window.0,
                start = charge.start.as_micros(),
                end = charge.end.as_micros(),
                resolved = instant(resolved),
            ))
            .await;
        }
        let (store, _db) = old.upgraded().await;
        let open = in_doubt::find(&store, request(1)).await.unwrap().unwrap();
        assert_eq!((open.charged.facts.key, open.charged.holds), (old_facts.key, vec![charge]));
        assert_eq!((open.ended_at, open.error_code, open.resolved), (None, None, None));
        // What it was corrected to was not kept: it shows what was held.
        let done = in_doubt::find(&store, request(2)).await.unwrap().unwrap();
        assert_eq!(done.resolved, Some((at(15), Usd::from_nanos(90))));
        let count = async |filter: InDoubtFilter| {
            in_doubt::list(&store, &filter, PageRequest::default()).await.unwrap().total
        };
        assert_eq!(count(InDoubtFilter::default()).await, 2);
        assert_eq!(count(InDoubtFilter { is_resolved: Some(false), ..InDoubtFilter::default() }).await, 1);
        store.close().await;
    }

    async fn answers_without_headers_are_repeated_without_them(old: Old from 9) {
        let fingerprint = old.blob(&[3; 32]);
        let now = at(0).as_micros();
        old.run(format!(
            "insert into idempotency_keys (actor, key, fingerprint, status, body, created_at)
             values ('mk_1', 'k', {fingerprint}, 201, '{{}}', {now})"
        ))
        .await;
        let (store, _db) = old.upgraded().await;
        let expected = RecordedAnswer {
            fingerprint: [3; 32],
            status: 201,
            headers: Vec::new(),
            body: "{}".to_owned(),
            created_at: at(0),
        };
        let found = idempotency::find(&store, "mk_1", "k", at(0)).await.unwrap();
        assert_eq!(found, Some(Recorded::Answer(expected)));
        store.close().await;
    }

    async fn a_schedule_of_rotations_is_kept(old: Old from 8) {
        add_profile(&old).await;
        let (store, _db) = old.upgraded().await;
        let kept = profiles::find(&store, ProfileId(1)).await.unwrap().unwrap();
        assert_eq!(kept.rotation.next_at, Some(at(60)));
        assert_eq!(kept.content.auto_rotation_interval_ns, 86_400_000_000_000);
        assert_eq!(rotation::cursor(&store, ProfileId(1)).await.unwrap(), None);
        assert_eq!(rotation::due(&store, at(60), 10).await.unwrap(), [ProfileId(1)]);
        store.close().await;
    }
}

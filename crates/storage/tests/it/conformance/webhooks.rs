use std::sync::Arc;

use secrecy::ExposeSecret;
use tollgate_domain::accounting::{CounterAmount, CounterKey, FoldBatch};
use tollgate_domain::events::EventKind;
use tollgate_domain::ids::{AuditEntryId, ProfileId, WebhookId};
use tollgate_domain::limits::{Meter, MeterKind, ResetDuration, Window, WindowKey, WindowSpec};
use tollgate_storage::audit::{self, AuditFilter, NewAuditEntry};
use tollgate_storage::webhooks::deliveries::{self, Attempt, DeliveryState, Next};
use tollgate_storage::webhooks::{self, StoredWebhook};
use tollgate_storage::{PageRequest, Store, Watch, Watches};
use tollgate_testkit::clock::SequentialIds;
use tollgate_testkit::entities;

use crate::fixture::{Fixture, at, in_tx, journal, on_both_engines, user_id, uuid};

pub(super) fn hook(number: u128, events: &[EventKind]) -> StoredWebhook {
    StoredWebhook {
        id: WebhookId::from_uuid(uuid(number)),
        url: "https://hooks.example.com/".to_owned(),
        events: events.to_vec(),
        secret: "hidden from all".into(),
        allow_private_network: false,
        is_active: true,
        created_at: at(i64::try_from(number).unwrap()),
        updated_at: at(i64::try_from(number).unwrap()),
    }
}

/// A limit of line 50, by the hour.
fn hourly(name: &str, kind: MeterKind, limit: i64) -> Meter {
    let mut meter = entities::meter(name, kind, limit);
    meter.id.line = uuid(50);
    meter.window = Some(WindowSpec {
        duration: ResetDuration::Hour,
        anchor: at(0),
        zone: None,
        quarter_start_month: 1,
    });
    meter
}

fn rotated(number: u128) -> NewAuditEntry {
    NewAuditEntry {
        id: AuditEntryId::from_uuid(uuid(number)),
        at: at(i64::try_from(number).unwrap()),
        actor: "system".to_owned(),
        action: "rotate",
        target_kind: "virtual_key",
        target_id: "vk_1".to_owned(),
        profile: None,
        user: None,
        previous_values: None,
        new_values: None,
        metadata: Some(r#"{"amount":0.000000001}"#.to_owned()),
    }
}

/// Notes an attempt at `second` to tell `webhook` of event `event`.
async fn attempt(store: &Store, webhook: WebhookId, event: u128, second: i64, next: Next) -> bool {
    let attempt = Attempt {
        webhook,
        event_id: AuditEntryId::from_uuid(uuid(event)),
        at: at(second),
        status: (next == Next::Delivered).then_some(204),
        error: (next != Next::Delivered).then(|| "no answer".to_owned()),
        next,
    };
    in_tx!(store, tx => deliveries::record(&mut tx, &attempt).await.unwrap()).0
}

on_both_engines! {
    async fn webhooks_live_and_die_and_their_secret_is_sealed(fixture: &Fixture) {
        let store = &fixture.store;
        let mut first = hook(1, &[EventKind::KeyRotated, EventKind::UserCreated]);
        in_tx!(store, tx => {
            webhooks::create(&mut tx, &first).await.unwrap();
            webhooks::create(&mut tx, &hook(2, &[EventKind::UserCreated])).await.unwrap();
        });
        let found = webhooks::find(store, first.id).await.unwrap().unwrap();
        assert_eq!(found.secret.expose_secret(), "hidden from all");
        assert_eq!((found.url, found.events, found.is_active), (first.url.clone(), first.events.clone(), true));
        let sealed = fixture.read_text("select secret_sealed from webhooks").await;
        assert!(sealed.len() > 20 && !sealed.contains("hidden"), "{sealed}");
        first.url = "http://10.0.0.1/".into();
        first.secret = "another".into();
        first.events.pop();
        first.allow_private_network = true;
        first.is_active = false;
        first.updated_at = at(9);
        in_tx!(store, tx => assert!(webhooks::update(&mut tx, &first).await.unwrap()));
        let page = webhooks::list(store, None, PageRequest { limit: 1, offset: 0 }).await.unwrap();
        let found = &page.items[0];
        assert_eq!((page.total, found.id, &found.url, found.updated_at), (2, first.id, &first.url, at(9)));
        assert_eq!((found.events.len(), found.allow_private_network, found.is_active), (1, true, false));
        assert_eq!(found.secret.expose_secret(), "another");
        for (wanted, total) in [("10.0.0", 1), ("HOOKS.example", 1), ("http", 2), ("h%p", 0)] {
            let page = webhooks::list(store, Some(wanted), PageRequest::default()).await.unwrap();
            assert_eq!((page.total, page.items.len()), (total, usize::try_from(total).unwrap()), "{wanted}");
        }
        in_tx!(store, tx => {
            assert!(webhooks::delete(&mut tx, first.id).await.unwrap());
            assert!(!webhooks::delete(&mut tx, first.id).await.unwrap());
            assert!(!webhooks::update(&mut tx, &first).await.unwrap());
        });
        assert!(webhooks::find(store, first.id).await.unwrap().is_none());
    }

    async fn an_event_is_in_the_outbox_of_whoever_asked_exactly_when_it_happened(fixture: &Fixture) {
        let store = &fixture.store;
        let (asked, other) = (hook(1, &[EventKind::KeyRotated]), hook(2, &[EventKind::UserCreated]));
        let mut silent = hook(3, &[EventKind::KeyRotated]);
        silent.is_active = false;
        in_tx!(store, tx => for each in [&asked, &other, &silent] {
            webhooks::create(&mut tx, each).await.unwrap();
        });
        let mut tx = store.begin().await.unwrap();
        audit::append(&mut tx, rotated(10)).await.unwrap();
        tx.rollback().await.unwrap();
        let page = PageRequest::default();
        assert_eq!(deliveries::list(store, asked.id, None, None, page).await.unwrap().total, 0, "it did not happen");
        let news = store.news().notified();
        in_tx!(store, tx => audit::append(&mut tx, rotated(10)).await.unwrap());
        news.await;
        for unasked in [other.id, silent.id] {
            assert_eq!(deliveries::list(store, unasked, None, None, page).await.unwrap().total, 0);
        }
        let found = deliveries::list(store, asked.id, None, None, page).await.unwrap().items.pop().unwrap();
        assert_eq!((found.event, found.state, found.attempts), (EventKind::KeyRotated, DeliveryState::Pending, 0));
        assert_eq!(found.next_attempt_at, Some(at(10)));
        assert!(found.payload.contains(r#""amount":0.000000001"#), "{}", found.payload);
        assert!(found.payload.contains(r#""type":"virtual_key.rotated""#), "{}", found.payload);
    }

    async fn deliveries_are_due_in_order_until_they_end(fixture: &Fixture) {
        let store = &fixture.store;
        let (one, two) = (hook(1, &[EventKind::KeyRotated]), hook(2, &[EventKind::KeyRotated]));
        in_tx!(store, tx => {
            webhooks::create(&mut tx, &one).await.unwrap();
            webhooks::create(&mut tx, &two).await.unwrap();
            for number in [10, 11, 12] {
                audit::append(&mut tx, rotated(number)).await.unwrap();
            }
        });
        let event = |number| Some(AuditEntryId::from_uuid(uuid(number)));
        let next = async |webhook, second| deliveries::next(store, webhook, at(second)).await.unwrap().map(|found| found.event_id);
        assert_eq!(deliveries::due(store, at(9), &[], 9).await.unwrap(), []);
        assert_eq!(deliveries::due(store, at(10), &[], 9).await.unwrap(), [one.id, two.id]);
        assert_eq!(deliveries::due(store, at(10), &[one.id], 9).await.unwrap(), [two.id]);
        assert_eq!(deliveries::due(store, at(10), &[], 1).await.unwrap(), [one.id]);
        assert_eq!(next(one.id, 20).await, event(10));
        assert!(attempt(store, one.id, 10, 20, Next::RetryAt(at(40))).await);
        let (waiting, _) = in_tx!(store, tx => deliveries::rest(&mut tx, one.id, at(30)).await.unwrap());
        assert_eq!(waiting, 2, "what waits longer already is left alone");
        assert_eq!(deliveries::due(store, at(29), &[], 9).await.unwrap(), [two.id]);
        assert_eq!(next(one.id, 30).await, event(11));
        assert!(attempt(store, one.id, 11, 31, Next::Delivered).await);
        assert!(attempt(store, one.id, 12, 32, Next::Dead).await);
        assert_eq!(next(one.id, 39).await, None);
        assert_eq!(next(one.id, 40).await, event(10));
        let states = async |state| {
            let page = deliveries::list(store, one.id, state, None, PageRequest::default()).await.unwrap();
            page.items.into_iter().map(|each| (each.event_id, each.attempts, each.last_status)).collect::<Vec<_>>()
        };
        assert_eq!(states(Some(DeliveryState::Delivered)).await, [(event(11).unwrap(), 1, Some(204))]);
        assert_eq!(states(Some(DeliveryState::Dead)).await, [(event(12).unwrap(), 1, None)]);
        assert_eq!(states(None).await.len(), 3);
        let failed = deliveries::list(store, one.id, None, Some("NO answer"), PageRequest::default()).await.unwrap();
        assert_eq!((failed.items.len(), failed.total), (2, 2));
        let (forgotten, _) = in_tx!(store, tx => deliveries::forget(&mut tx, at(12)).await.unwrap());
        assert_eq!(forgotten, 4, "two events of each of the two webhooks");
        assert!(!attempt(store, one.id, 10, 50, Next::Dead).await);
    }

    async fn what_has_ended_is_begun_anew_by_hand(fixture: &Fixture) {
        let store = &fixture.store;
        let one = hook(1, &[EventKind::KeyRotated]);
        in_tx!(store, tx => {
            webhooks::create(&mut tx, &one).await.unwrap();
            audit::append(&mut tx, rotated(10)).await.unwrap();
        });
        let event = AuditEntryId::from_uuid(uuid(10));
        let found = async || deliveries::find(store, one.id, event).await.unwrap();
        let again = async |when| {
            let (begun, _) = in_tx!(store, tx => deliveries::redeliver(&mut tx, one.id, event, at(when)).await.unwrap());
            begun
        };
        assert!(!again(20).await, "it is still to be tried");
        for end in [Next::Dead, Next::Delivered] {
            assert!(attempt(store, one.id, 10, 30, end).await);
            assert!(deliveries::due(store, at(99), &[], 9).await.unwrap().is_empty());
            assert!(again(40).await);
            let delivery = found().await.unwrap();
            assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Pending, 0));
            assert_eq!(delivery.next_attempt_at, Some(at(40)));
            assert_eq!(deliveries::due(store, at(40), &[], 9).await.unwrap(), [one.id]);
        }
        let other = AuditEntryId::from_uuid(uuid(11));
        assert_eq!(deliveries::find(store, one.id, other).await.unwrap(), None);
        let (begun, _) = in_tx!(store, tx => deliveries::redeliver(&mut tx, one.id, other, at(1)).await.unwrap());
        assert!(!begun);
    }

    async fn a_threshold_is_told_once_in_each_window_with_what_reached_it(fixture: &Fixture) {
        let store = &fixture.store;
        let asked = hook(1, &[EventKind::BudgetThreshold]);
        in_tx!(store, tx => webhooks::create(&mut tx, &asked).await.unwrap());
        let watch = Watch {
            meter: Arc::new(hourly("budget", MeterKind::Money, 1_000)),
            percents: [50, 100].into(),
            profile: ProfileId(4),
            user: Some(user_id(1)),
        };
        let ids = SequentialIds::default();
        let fold = async |from: u64, seconds, nanos| {
            let mut batch = journal::batch(from, from + 1);
            batch.counters = vec![journal::amount(50, seconds, nanos), journal::amount(51, seconds, 5_000)];
            let watches = Watches {
                by_meter: [(watch.meter.id, watch.clone())].into(),
                now: at(i64::try_from(from).unwrap()),
                ids: &ids,
            };
            let told = store.fold_watched(&batch, Some(&watches)).await.unwrap();
            assert_eq!(store.fold_watched(&batch, Some(&watches)).await.unwrap(), 0, "a piece is folded once");
            told
        };
        assert_eq!(fold(0, 60, 499).await, 0);
        assert_eq!(fold(1, 60, 1).await, 1, "half of it");
        assert_eq!(fold(2, 60, 1).await, 0, "that was told");
        assert_eq!(fold(3, 60, 600).await, 1, "all of it");
        assert_eq!(fold(4, 60, -900).await, 0, "it was credited");
        assert_eq!(fold(5, 60, 900).await, 0, "and is told once all the same");
        // What was reached while nobody looked is told when something is spent, not when something is given back.
        let mut unseen = journal::batch(6, 7);
        unseen.counters = vec![CounterAmount { key: CounterKey { window: WindowKey(7), ..journal::amount(50, 60, 0).key }, ..journal::amount(50, 60, 900) }];
        store.fold(&unseen).await.unwrap();
        unseen = FoldBatch { counters: unseen.counters, ..journal::batch(7, 8) };
        unseen.counters[0].amount = -100;
        let watches = Watches { by_meter: [(watch.meter.id, watch.clone())].into(), now: at(7), ids: &ids };
        assert_eq!(store.fold_watched(&unseen, Some(&watches)).await.unwrap(), 0);
        let filter = AuditFilter { action: Some("reach_threshold".to_owned()), ..AuditFilter::default() };
        let entries = audit::list(store, &filter, PageRequest::default()).await.unwrap().items;
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[1].profile, entries[1].user), (Some(ProfileId(4)), Some(user_id(1))));
        assert_eq!((entries[1].target_kind.as_str(), entries[1].target_id.as_str()), ("budget", "budget"));
        let told = deliveries::list(store, asked.id, None, None, PageRequest::default()).await.unwrap().items;
        assert_eq!(told.iter().map(|each| each.event_id).collect::<Vec<_>>(), [entries[0].id, entries[1].id]);
        for part in [
            r#""threshold_percent":50"#,
            r#""limit":0.000001,"#,
            r#""used":0.0000005,"#,
            r#""resets_at":"2026-11-11T12:31:00Z""#,
            r#""window_start":"2026-11-11T12:30:00Z""#,
            r#""holder":{"kind":"access_profile","id":"budget","name":"budget"}"#,
        ] {
            assert!(told[1].payload.contains(part), "{part} is not in {}", told[1].payload);
        }
    }

    // A request that was admitted before the edit is charged to the windows of then; the new limit is another matter.
    async fn what_counts_over_another_duration_is_not_told_of(fixture: &Fixture) {
        let store = &fixture.store;
        let watch = Watch {
            meter: Arc::new(hourly("budget", MeterKind::Money, 10)),
            percents: [50].into(),
            profile: ProfileId(4),
            user: None,
        };
        let ids = SequentialIds::default();
        let watches = Watches { by_meter: [(watch.meter.id, watch)].into(), now: at(1), ids: &ids };
        let mut batch = journal::batch(0, 1);
        let monthly = journal::amount(50, 3_600, 9);
        batch.counters = vec![CounterAmount { key: CounterKey { duration: ResetDuration::Month, ..monthly.key }, ..monthly }];
        assert_eq!(store.fold_watched(&batch, Some(&watches)).await.unwrap(), 0);
        assert_eq!(store.tell_reached(&watches).await.unwrap(), 0);
        let mut hourly = journal::batch(1, 2);
        hourly.counters = vec![monthly];
        assert_eq!(store.fold_watched(&hourly, Some(&watches)).await.unwrap(), 1);
    }

    async fn a_limit_that_became_lower_is_told_by_what_runs_now(fixture: &Fixture) {
        let store = &fixture.store;
        let window = |number: i64| Window {
            key: WindowKey(at(3_600 * number).as_micros()),
            start: at(3_600 * number),
            end: at(3_600 * (number + 1)),
        };
        let mut batch = journal::batch(0, 1);
        let count = |line, number, amount| CounterAmount::new(uuid(line), MeterKind::Money, ResetDuration::Hour, window(number), amount);
        // The last window was full, the running one is half full, and a later one, into which an edit or a clock that
        // steps back put what does not count now, is not asked about.
        batch.counters = vec![count(50, 0, 1_000), count(50, 1, 500), count(50, 2, 1_000), count(51, 1, 499)];
        store.fold(&batch).await.unwrap();
        let ids = SequentialIds::default();
        let watch = |line, limit, percents: &[u32]| {
            let mut meter = hourly("budget", MeterKind::Money, limit);
            meter.id.line = uuid(line);
            Watch { meter: Arc::new(meter), percents: percents.into(), profile: ProfileId(4), user: None }
        };
        let tell = async |limit, now| {
            let by_meter = [watch(50, limit, &[50, 100]), watch(51, limit, &[50])];
            let by_meter = by_meter.map(|watch| (watch.meter.id, watch)).into();
            store.tell_reached(&Watches { by_meter, now, ids: &ids }).await.unwrap()
        };
        let now = at(3_600 + 60);
        assert_eq!(tell(1_001, now).await, 0);
        assert_eq!(tell(1_000, now).await, 1, "half of it");
        assert_eq!(tell(1_000, now).await, 0, "that was told");
        assert_eq!(tell(500, now).await, 2, "all of it, and of the other line what is over a half");
        assert_eq!(tell(1, at(3 * 3_600)).await, 0, "a new window has nothing");
        let filter = AuditFilter { action: Some("reach_threshold".to_owned()), ..AuditFilter::default() };
        assert_eq!(audit::list(store, &filter, PageRequest::default()).await.unwrap().total, 3);
    }

    async fn a_new_window_has_thresholds_of_its_own(fixture: &Fixture) {
        let store = &fixture.store;
        let meter = Arc::new(hourly("limit", MeterKind::Requests, 10));
        let watch = Watch { meter, percents: [80].into(), profile: ProfileId(4), user: None };
        let ids = SequentialIds::default();
        for (from, start) in [(0, 0), (1, 3_600)] {
            let mut batch = journal::batch(from, from + 1);
            let window = Window { key: WindowKey(start), start: at(start), end: at(start + 3_600) };
            batch.counters = vec![CounterAmount::new(uuid(50), MeterKind::Requests, ResetDuration::Hour, window, 9)];
            let watches = Watches { by_meter: [(watch.meter.id, watch.clone())].into(), now: at(start), ids: &ids };
            assert_eq!(store.fold_watched(&batch, Some(&watches)).await.unwrap(), 1);
        }
        let filter = AuditFilter { target_kind: Some("rate_limit".to_owned()), ..AuditFilter::default() };
        assert_eq!(audit::list(store, &filter, PageRequest::default()).await.unwrap().total, 2);
    }
}

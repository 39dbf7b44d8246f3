use tollgate_domain::Usd;
use tollgate_domain::accounting::{LedgerState, Outcome};
use tollgate_domain::ids::ResetId;
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::live::UsageReset;
use tollgate_storage::in_doubt::{self, InDoubtFilter};
use tollgate_storage::{PageRequest, StorageError, request_log, resets};

use crate::fixture::journal::{amount, batch, ended, hold, position, request};
use crate::fixture::{Fixture, at, in_tx, on_both_engines, uuid};

on_both_engines! {
    async fn a_new_database_has_no_journal(fixture: &Fixture) {
        assert_eq!(fixture.store.ledger_state().await.unwrap(), LedgerState::default());
    }

    async fn pieces_add_up(fixture: &Fixture) {
        let store = &fixture.store;
        let mut first = batch(0, 10);
        first.counters = vec![amount(1, 3_600, 5), amount(2, 3_600, 7), amount(1, 3_600, 1)];
        first.opened = vec![hold(1, vec![amount(1, 3_600, 90)]), hold(2, vec![amount(2, 3_600, 80)])];
        store.fold(&first).await.unwrap();
        let mut second = batch(10, 30);
        second.counters = vec![amount(1, 3_600, -2)];
        second.opened = vec![hold(2, vec![amount(2, 3_600, 60)]), hold(3, Vec::new())];
        second.closed = vec![request(1)];
        second.log = vec![ended(1, Outcome::Reported, 50)];
        store.fold(&second).await.unwrap();

        let state = store.ledger_state().await.unwrap();
        assert_eq!((state.journal, state.position), (Some(uuid(77)), position(30)));
        assert_eq!(state.last_instant, Some(at(30)));
        assert_eq!(state.counters, [amount(1, 3_600, 4), amount(2, 3_600, 7)]);
        assert_eq!(state.open, [hold(2, vec![amount(2, 3_600, 60)]), hold(3, Vec::new())]);
        assert!(state.in_doubt.is_empty());
        let logged = request_log::find(store, request(1)).await.unwrap().unwrap();
        assert_eq!((logged.entry, logged.resolved_at), (ended(1, Outcome::Reported, 50), None));
    }

    async fn what_is_to_be_reset_waits_for_the_piece_that_says_it_was(fixture: &Fixture) {
        let store = &fixture.store;
        let reset = |number: u128, kinds: &[MeterKind]| UsageReset {
            id: ResetId::from_uuid(uuid(number)),
            meters: kinds.iter().map(|kind| MeterId { line: uuid(5), kind: *kind }).collect(),
        };
        let (first, second) = (reset(2, &[MeterKind::Money]), reset(1, &[MeterKind::Tokens, MeterKind::Requests]));
        in_tx!(store, tx => {
            resets::add(&mut tx, &first, at(1)).await.unwrap();
            resets::add(&mut tx, &second, at(2)).await.unwrap();
        });
        assert_eq!(resets::list(store).await.unwrap(), [first.clone(), second.clone()]);
        let mut piece = batch(0, 10);
        piece.resets = vec![first.id];
        store.fold(&piece).await.unwrap();
        assert_eq!(resets::list(store).await.unwrap(), [second]);
    }

    async fn a_piece_counts_once(fixture: &Fixture) {
        let store = &fixture.store;
        let mut piece = batch(0, 10);
        piece.counters = vec![amount(1, 3_600, 5)];
        piece.log = vec![ended(1, Outcome::Reported, 5)];
        store.fold(&piece).await.unwrap();
        let state = store.ledger_state().await.unwrap();
        store.fold(&piece).await.unwrap();
        assert_eq!(store.ledger_state().await.unwrap(), state);
    }

    async fn a_piece_that_does_not_fit_is_refused_whole(fixture: &Fixture) {
        let store = &fixture.store;
        store.fold(&batch(0, 10)).await.unwrap();
        let state = store.ledger_state().await.unwrap();
        let mut gap = batch(11, 20);
        gap.counters = vec![amount(1, 3_600, 5)];
        let mut overlap = batch(5, 20);
        overlap.counters = gap.counters.clone();
        let mut foreign = batch(10, 20);
        foreign.journal = uuid(78);
        for piece in [gap, overlap, foreign] {
            let refused = store.fold(&piece).await.unwrap_err();
            assert!(matches!(refused, StorageError::JournalGap(_)), "{refused:?}");
        }
        assert_eq!(store.ledger_state().await.unwrap(), state);
    }

    async fn only_windows_that_run_or_are_named_are_handed_out(fixture: &Fixture) {
        let store = &fixture.store;
        let mut piece = batch(0, 100);
        // What ends at the last instant has ended.
        let just_ended = amount(5, 100, 9);
        piece.counters = vec![amount(1, 50, 5), amount(2, 100, 6), amount(3, 101, 7), amount(4, 50, 8), just_ended];
        piece.opened = vec![hold(1, vec![amount(1, 50, 90)]), hold(3, vec![amount(5, 100, 90)])];
        piece.in_doubt = vec![hold(2, vec![amount(4, 50, 3)])];
        piece.log = vec![ended(2, Outcome::InDoubt, 3)];
        store.fold(&piece).await.unwrap();
        let state = store.ledger_state().await.unwrap();
        let mut counters = state.counters.clone();
        counters.sort_by_key(|counter| counter.key);
        assert_eq!(counters, [amount(1, 50, 5), amount(3, 101, 7), amount(4, 50, 8), just_ended]);
        assert_eq!(state.in_doubt, [hold(2, vec![amount(4, 50, 3)])]);
    }

    async fn what_is_in_doubt_is_listed_until_it_is_corrected(fixture: &Fixture) {
        let store = &fixture.store;
        let mut piece = batch(0, 10);
        piece.in_doubt = vec![hold(1, vec![amount(1, 3_600, 90)]), hold(2, vec![amount(1, 3_600, 80)])];
        piece.log = vec![ended(1, Outcome::InDoubt, 90), ended(2, Outcome::InDoubt, 80)];
        piece.counters = vec![amount(1, 3_600, 170)];
        store.fold(&piece).await.unwrap();
        let listed = async || {
            let open = InDoubtFilter { is_resolved: Some(false), ..InDoubtFilter::default() };
            let page = in_doubt::list(store, &open, PageRequest::default()).await.unwrap();
            page.items.iter().map(|each| each.charged.facts.request).collect::<Vec<_>>()
        };
        assert_eq!(listed().await, [request(2), request(1)]);

        let mut correction = batch(10, 20);
        correction.resolved = vec![(request(1), Usd::from_nanos(30), at(15)), (request(9), Usd::ZERO, at(15))];
        correction.counters = vec![amount(1, 3_600, -60)];
        store.fold(&correction).await.unwrap();
        assert_eq!(listed().await, [request(2)]);
        let state = store.ledger_state().await.unwrap();
        assert_eq!(state.in_doubt, [hold(2, vec![amount(1, 3_600, 80)])]);
        assert_eq!(state.counters, [amount(1, 3_600, 110)]);
        let logged = request_log::find(store, request(1)).await.unwrap().unwrap();
        assert_eq!((logged.entry.ending.cost, logged.resolved_at), (Usd::from_nanos(30), Some(at(15))));
        let sums = request_log::stats::total(store, &request_log::LogFilter::default()).await.unwrap();
        assert_eq!((sums.requests, sums.cost), (2, Usd::from_nanos(110)));
    }

    // A provider that lies without measure must not make a piece of the journal that no database takes.
    async fn sums_are_held_at_the_ends_of_the_range(fixture: &Fixture) {
        let store = &fixture.store;
        let most = i64::MAX;
        for number in 0..3 {
            let from = u64::try_from(number).unwrap() * 10;
            let mut piece = batch(from, from + 10);
            piece.counters = vec![amount(1, 3_600, most), amount(2, 3_600, -most), amount(3, 3_600, 7)];
            let mut absurd = ended(u128::try_from(number).unwrap() + 1, Outcome::Reported, most);
            absurd.facts.at = at(1);
            absurd.ending.usage.input = u64::MAX;
            absurd.ending.usage.output = u64::MAX;
            absurd.ending.duration_micros = u64::MAX;
            piece.log = vec![absurd];
            store.fold(&piece).await.unwrap();
        }
        let state = store.ledger_state().await.unwrap();
        assert_eq!(state.counters, [amount(1, 3_600, most), amount(2, 3_600, -most), amount(3, 3_600, 21)]);
        let sums = request_log::stats::total(store, &request_log::LogFilter::default()).await.unwrap();
        assert_eq!((sums.requests, sums.cost), (3, Usd::MAX));
        // What is held there still gives way to the other side.
        let mut less = batch(30, 40);
        less.counters = vec![amount(1, 3_600, -5), amount(2, 3_600, 5)];
        store.fold(&less).await.unwrap();
        let state = store.ledger_state().await.unwrap();
        assert_eq!(state.counters[..2], [amount(1, 3_600, most - 5), amount(2, 3_600, 5 - most)]);
    }

    async fn more_rows_than_one_statement_takes_are_folded(fixture: &Fixture) {
        let store = &fixture.store;
        let mut piece = batch(0, 10);
        piece.counters = (1..=1_201).map(|line| amount(line, 3_600, 1)).collect();
        piece.log = (1..=501).map(|number| ended(number, Outcome::Reported, 1)).collect();
        piece.opened = (600..=1_800).map(|number| hold(number, Vec::new())).collect();
        store.fold(&piece).await.unwrap();
        let state = store.ledger_state().await.unwrap();
        assert_eq!((state.counters.len(), state.open.len()), (1_201, 1_201));
        let mut rest = batch(10, 20);
        rest.closed = (600..=1_800).map(request).collect();
        store.fold(&rest).await.unwrap();
        assert!(store.ledger_state().await.unwrap().open.is_empty());
        let sums = request_log::stats::total(store, &request_log::LogFilter::default()).await.unwrap();
        assert_eq!((sums.requests, sums.cost), (501, Usd::from_nanos(501)));
    }
}

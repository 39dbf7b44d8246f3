//! A disk that fails under the load: refused requests, readiness that says so, and nothing lost.

use tokio::task::JoinSet;

use super::storm::{ClientBooks, Dice, Storm, ask};
use super::times;
use crate::black_box::{Action, CUT, Errno, Gateway, NAME, OPEN, Place, Plan, SYNC, WRITE, chat};

const JOURNAL: &str = "/data/journal/";
const DATABASE: &str = "/data/tollgate.db";

/// Asks `count` times, one after the other.
async fn ask_times(storm: &mut Storm, count: u64) -> ClientBooks {
    let mut books = ClientBooks::default();
    let mut dice = Dice(storm.dice.roll(u64::MAX));
    for _ in 0..count {
        assert!(ask(&storm.caller, &mut dice, &mut books).await);
    }
    books
}

fn add(storm: &mut Storm, books: ClientBooks) {
    storm.books.answered += books.answered;
    storm.books.unanswered += books.unanswered;
}

async fn wait_until_ready(gateway: &Gateway) {
    while gateway.readiness().await != 200 {
        tokio::task::yield_now().await;
    }
}

/// Kills it, and holds its counters against what everybody knows.
async fn crash(storm: &mut Storm, gateway: Gateway) -> Gateway {
    let clients = storm.clients(2);
    let place = storm.kill_after_requests(gateway, 4).await;
    storm.collect(clients).await;
    storm.restart(place).await
}

#[tokio::test]
async fn writes_that_stop_short_or_fail_refuse_one_request_each() {
    let (mut storm, mut gateway) = Storm::begin(Place::with_faults(), 11).await;
    for round in 0..12 {
        let action = match round % 4 {
            0 => Action::Fail(Errno::Io),
            1 => Action::Fail(Errno::NoSpace),
            2 => Action::ShortWrite(0),
            _ => Action::ShortWrite(u32::try_from(1 + storm.dice.roll(998)).unwrap()),
        };
        let faults = gateway.faults();
        let before = faults.injected();
        let after = storm.dice.roll(8);
        faults.strike(Plan::once(JOURNAL, WRITE, action).after(after));
        let books = ask_times(&mut storm, 10).await;
        assert_eq!(
            gateway.faults().injected(),
            before + 1,
            "{action:?} had no effect"
        );
        // A hold that is not written is refused; an end, or the word that something is on disk, is written later.
        assert!(books.refused <= 1, "{action:?}: {books:?}");
        wait_until_ready(&gateway).await;
        add(&mut storm, books);
        if round % 4 == 3 {
            gateway = crash(&mut storm, gateway).await;
        }
    }
    storm.finish(gateway).await;
}

#[tokio::test]
async fn disk_that_takes_nothing_refuses_everything_until_it_is_healed() {
    let (mut storm, mut gateway) = Storm::begin(Place::with_faults(), 12).await;
    // A file system that became read-only takes nothing at all; what was written before is still synced.
    let all = WRITE | CUT | NAME | OPEN;
    for (kinds, error) in [
        (WRITE, Errno::Io),
        (WRITE, Errno::NoSpace),
        (all, Errno::ReadOnly),
        (all, Errno::Access),
    ] {
        let books = ask_times(&mut storm, 3).await;
        add(&mut storm, books);
        let spent = storm.caller.spent().await;
        let heard = storm.provider.exchange_count();
        let faults = gateway.faults();
        faults.strike(Plan::always(JOURNAL, kinds, Action::Fail(error)));
        let books = ask_times(&mut storm, 5).await;
        assert_eq!((books.refused, books.answered), (5, 0), "{error:?}");
        assert_eq!(storm.provider.exchange_count(), heard, "nothing was sent");
        assert_eq!(storm.caller.spent().await, spent, "nor charged");
        assert_eq!(storm.caller.reserved().await, 0, "nor held");
        assert_eq!(gateway.readiness().await, 503);
        gateway.faults().heal();
        // Without a request: nobody is sent to a server that is not ready.
        wait_until_ready(&gateway).await;
        let books = ask_times(&mut storm, 3).await;
        assert_eq!(books.refused, 0, "{error:?}");
        assert_eq!(gateway.readiness().await, 200);
        add(&mut storm, books);
        gateway = crash(&mut storm, gateway).await;
    }
    storm.finish(gateway).await;
}

/// The end of a request that the disk does not take: readiness goes down, its client does not see the end of a stream, nor
/// any of a plain answer, and when the disk is healed it is written after all.
#[tokio::test]
async fn an_end_that_the_disk_does_not_take_is_written_once_it_is_healed() {
    let (mut storm, gateway) = Storm::begin(Place::with_faults(), 13).await;
    let gate = tollgate_testkit::provider::Gate::new();
    let answer = tollgate_testkit::provider::Chat::default().gated(&gate);
    let mut clients = Vec::new();
    for is_stream in [true, false] {
        storm.provider.next(answer.clone());
        let caller = storm.caller.clone();
        let mut client = tokio::task::JoinSet::new();
        client.spawn(async move { caller.chat(&chat("small", 50, is_stream)).await });
        clients.push(client);
        storm.provider.wait_for(clients.len()).await;
    }
    let faults = gateway.faults();
    faults.strike(Plan::always(JOURNAL, WRITE, Action::Fail(Errno::NoSpace)));
    gate.open();
    let mut answers = Vec::new();
    for mut client in clients {
        answers.push(client.join_next().await.unwrap().unwrap());
    }
    let plain = answers.pop().unwrap().unwrap();
    assert_eq!(
        (plain.status, plain.code().as_str()),
        (503, "ledger_unavailable")
    );
    let stream = answers.pop().unwrap();
    let is_whole = stream.is_ok_and(|answer| answer.text.contains("[DONE]"));
    assert!(!is_whole, "its end is not written");
    assert_eq!(gateway.readiness().await, 503);
    let refused = ask_times(&mut storm, 2).await;
    assert_eq!(refused.refused, 2);
    faults.heal();
    wait_until_ready(&gateway).await;
    let whole = crate::black_box::cost(10, 3);
    assert_eq!(storm.caller.spent_when_idle().await, 2 * whole);
    storm.books.unanswered += 2 * crate::black_box::bound(200, 50);
    let books = ask_times(&mut storm, 3).await;
    add(&mut storm, books);
    let gateway = crash(&mut storm, gateway).await;
    storm.finish(gateway).await;
}

/// What a failed sync may have lost cannot be known, so nothing is admitted until a start has read the disk.
#[tokio::test]
async fn sync_that_fails_refuses_everything_until_a_restart() {
    let (mut storm, mut gateway) = Storm::begin(Place::with_faults(), 14).await;
    for _ in 0..3 {
        let after = storm.dice.roll(3);
        let plan = Plan::once(JOURNAL, SYNC, Action::Fail(Errno::Io)).after(after);
        gateway.faults().strike(plan);
        let mut books = ClientBooks::default();
        let mut dice = Dice(storm.dice.roll(u64::MAX));
        while books.refused == 0 {
            assert!(ask(&storm.caller, &mut dice, &mut books).await);
        }
        assert_eq!(gateway.readiness().await, 503);
        gateway.faults().heal();
        books.refused = 0;
        for _ in 0..3 {
            ask(&storm.caller, &mut dice, &mut books).await;
        }
        assert_eq!(books.refused, 3, "a healed disk brings nothing back");
        add(&mut storm, books);
        let place = gateway.killed().await;
        gateway = storm.restart(place).await;
        let books = ask_times(&mut storm, 3).await;
        assert_eq!(books.refused, 0);
        add(&mut storm, books);
    }
    storm.finish(gateway).await;
}

/// Some calls fail, some stop short; of the journal, or of the database, which may be late and must not be wrong.
fn trouble(dice: &mut Dice) -> Plan {
    let scope = if dice.roll(3) == 0 { DATABASE } else { JOURNAL };
    let kinds = [WRITE, WRITE, SYNC, CUT, WRITE | CUT, WRITE | SYNC | CUT];
    let kinds = kinds[usize::try_from(dice.roll(6)).unwrap()];
    let action = match dice.roll(3) {
        0 => Action::Fail(Errno::Io),
        1 => Action::Fail(Errno::NoSpace),
        // Only a write can stop short; what else is struck does nothing and says that it did.
        _ if kinds == WRITE => Action::ShortWrite(u32::try_from(dice.roll(1_000)).unwrap()),
        _ => Action::Fail(Errno::Io),
    };
    Plan {
        scope,
        kinds,
        action,
        after: dice.roll(40),
        count: 1 + dice.roll(6),
    }
}

async fn storm_with_trouble(place: Place, seed: u64, crashes: u64) {
    let (mut storm, mut gateway) = Storm::begin(place, seed).await;
    let mut injected = 0;
    for _ in 0..crashes {
        let plan = trouble(&mut storm.dice);
        gateway.faults().strike(plan);
        let before = gateway.faults().injected();
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let caller = storm.caller.clone();
            let mut dice = Dice(storm.dice.roll(u64::MAX));
            clients.spawn(async move {
                let mut books = ClientBooks::default();
                for _ in 0..8 {
                    assert!(ask(&caller, &mut dice, &mut books).await);
                }
                books
            });
        }
        storm.collect(clients).await;
        injected += gateway.faults().injected() - before;
        let place = gateway.killed().await;
        place.heal();
        gateway = storm.restart(place).await;
    }
    assert!(injected > crashes / 2, "{injected} calls were struck");
    storm.finish(gateway).await;
}

#[tokio::test]
async fn trouble_of_every_kind_under_load_loses_nothing() {
    storm_with_trouble(Place::with_faults(), 15, times(30)).await;
}

#[tokio::test]
async fn trouble_of_every_kind_under_load_loses_nothing_beside_postgres() {
    let place = Place::with_faults().on_postgres();
    storm_with_trouble(place, 16, times(12)).await;
}

/// A start that finds a disk which takes nothing says so and ends; once it is healed, nothing is missing.
#[tokio::test]
async fn start_on_a_disk_that_fails_is_refused_and_loses_nothing() {
    let (mut storm, mut gateway) = Storm::begin(Place::with_faults(), 17).await;
    for (kinds, error) in [
        (CUT, Errno::Io),
        (WRITE, Errno::NoSpace),
        (SYNC, Errno::Io),
        (WRITE | CUT | NAME | OPEN, Errno::ReadOnly),
        (WRITE | CUT | NAME | OPEN, Errno::Access),
    ] {
        let clients = storm.clients(4);
        let place = storm.kill_after_requests(gateway, 9).await;
        storm.collect(clients).await;
        let faults = place.faults.as_ref().unwrap();
        faults.strike(Plan::always(JOURNAL, kinds, Action::Fail(error)));
        match Gateway::try_spawn(place.clone()).await {
            // What it has to write can wait: it serves nobody until then.
            Ok(gateway) => {
                while gateway.readiness().await == 200 {
                    let caller = storm.caller.clone().at(&gateway);
                    let mut books = ClientBooks::default();
                    ask(&caller, &mut storm.dice.clone(), &mut books).await;
                    add(&mut storm, books);
                }
                drop(gateway.killed().await);
            }
            Err((status, output)) => {
                assert_eq!(status.code(), Some(1), "{status}: {output}");
                assert!(output.contains("journal"), "{output}");
                let is_forbidden = matches!(error, Errno::ReadOnly | Errno::Access);
                let advice = "make the directory and what is in it writable";
                assert_eq!(output.contains(advice), is_forbidden, "{output}");
            }
        }
        place.heal();
        gateway = storm.restart(place).await;
    }
    storm.finish(gateway).await;
}

//! `kill -9` at any instant: under load, while starting, while recovering, while stopping; between two calls to the
//! system and in the middle of a write.
//!
//! Each time invariant I3 must hold, with both inequalities: the cost of the answers that clients received ≤ the
//! counters after the restart ≤ that and the bounds of what was not answered. In the mode `bound` the counters also
//! cover whatever the upstream was made to do. At the end the request log says what the counters say.
//!
//! `TOLLGATE_TEST_CRASHES` multiplies the number of crashes for a longer run.

mod corrections;
mod disk;
mod first_start;
mod storm;

use self::storm::Storm;
use crate::black_box::{ANY, Action, Gateway, Place, Plan};

/// Everything that the process keeps.
const DATA: &str = "/data/";
const FEW: u64 = 8;
const MANY: u64 = 200;
/// Calls on the disk that a storm has seen by then: a request takes two, folding it some.
const CALLS: u64 = 150;

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test may run is for whoever starts it to say"
)]
fn times(crashes: u64) -> u64 {
    std::env::var("TOLLGATE_TEST_CRASHES")
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .map_or(crashes, |factor| factor * crashes)
}

/// A death at a call on the disk: before it, after it, or in its middle.
fn death(storm: &mut Storm, calls: u64) -> Plan {
    let action = match storm.dice.roll(4) {
        0 => Action::KillBefore,
        1 => Action::KillAfter,
        _ => Action::TornWrite(u32::try_from(storm.dice.roll(1_000)).unwrap()),
    };
    Plan::once(DATA, ANY, action).after(storm.dice.roll(calls))
}

#[tokio::test]
async fn killed_from_outside_while_two_hundred_clients_ask() {
    let (mut storm, mut gateway) = Storm::begin(Place::new(), 1).await;
    for _ in 0..times(10) {
        let clients = storm.clients(MANY);
        let further = 1 + storm.dice.roll(2 * MANY);
        let place = storm.kill_after_requests(gateway, further).await;
        storm.collect(clients).await;
        gateway = storm.restart(place).await;
    }
    storm.finish(gateway).await;
}

#[tokio::test]
async fn killed_from_outside_while_a_few_clients_ask() {
    let (mut storm, mut gateway) = Storm::begin(Place::new(), 2).await;
    for _ in 0..times(40) {
        let clients = storm.clients(FEW);
        let further = 1 + storm.dice.roll(8 * FEW);
        let place = storm.kill_after_requests(gateway, further).await;
        storm.collect(clients).await;
        gateway = storm.restart(place).await;
    }
    storm.finish(gateway).await;
}

/// The database is killed in the middle of its own writes, too: in the fold, and in its log.
#[tokio::test]
async fn killed_at_a_call_on_the_disk() {
    let (mut storm, mut gateway) = Storm::begin(Place::with_faults(), 3).await;
    for _ in 0..times(60) {
        let plan = death(&mut storm, CALLS);
        gateway.faults().strike(plan);
        let clients = storm.clients(FEW);
        let place = gateway.dead().await;
        storm.collect(clients).await;
        place.heal();
        gateway = storm.restart(place).await;
    }
    storm.finish(gateway).await;
}

#[tokio::test]
async fn killed_again_while_it_recovers() {
    let (mut storm, mut gateway) = Storm::begin(Place::with_faults(), 4).await;
    let mut deaths_while_recovering = 0;
    for _ in 0..times(25) {
        let clients = storm.clients(FEW);
        let further = 1 + storm.dice.roll(4 * FEW);
        let mut place = storm.kill_after_requests(gateway, further).await;
        storm.collect(clients).await;
        for _ in 0..2 {
            let plan = death(&mut storm, 30);
            place.faults.as_ref().unwrap().strike(plan);
            place = match Gateway::try_spawn(place.clone()).await {
                Ok(gateway) => gateway.killed().await,
                Err((status, output)) => {
                    assert!(status.code().is_none(), "{status}: {output}");
                    deaths_while_recovering += 1;
                    place
                }
            };
            place.heal();
        }
        gateway = storm.restart(place).await;
    }
    assert!(deaths_while_recovering > 20, "{deaths_while_recovering}");
    storm.finish(gateway).await;
}

#[tokio::test]
async fn killed_while_it_stops() {
    let (mut storm, mut gateway) = Storm::begin(Place::with_faults(), 5).await;
    let mut deaths_while_stopping = 0;
    for _ in 0..times(30) {
        let clients = storm.clients(FEW);
        let heard = storm.provider.exchange_count() + usize::try_from(FEW).unwrap();
        storm.provider.wait_for_count(heard).await;
        let plan = death(&mut storm, 40);
        gateway.terminate();
        gateway.faults().strike(plan);
        let place = gateway.place.clone();
        let status = gateway.wait().await;
        assert!(
            status.code().is_none_or(|code| code == 0),
            "{}",
            gateway.output()
        );
        deaths_while_stopping += u64::from(status.code().is_none());
        storm.collect(clients).await;
        place.heal();
        gateway = storm.restart(place).await;
    }
    assert!(deaths_while_stopping > 10, "{deaths_while_stopping}");
    storm.finish(gateway).await;
}

#[tokio::test]
async fn killed_while_it_keeps_its_state_in_postgres() {
    let place = Place::with_faults().on_postgres();
    let (mut storm, mut gateway) = Storm::begin(place, 6).await;
    for round in 0..times(35) {
        let clients;
        let place = if round % 2 == 0 {
            clients = storm.clients(FEW);
            let further = 1 + storm.dice.roll(8 * FEW);
            storm.kill_after_requests(gateway, further).await
        } else {
            let plan = death(&mut storm, CALLS);
            gateway.faults().strike(plan);
            clients = storm.clients(FEW);
            gateway.dead().await
        };
        storm.collect(clients).await;
        place.heal();
        gateway = storm.restart(place).await;
    }
    storm.finish(gateway).await;
}

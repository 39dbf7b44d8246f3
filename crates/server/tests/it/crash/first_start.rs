//! Killed in its very first start, when nothing is there yet: the next start makes the rest.

use std::sync::Arc;

use crate::black_box::{ANY, Action, Gateway, Place, Plan};

/// Kills a first start at call number `call` on files of `scope`. Yields whether it came that far.
async fn dies_and_starts(scope: &'static str, action: Action, call: u64) -> bool {
    let place = Arc::new(Place::with_faults());
    let faults = place.faults.as_ref().unwrap();
    faults.strike(Plan::once(scope, ANY, action).after(call));
    let died = match Gateway::try_spawn(place.clone()).await {
        Ok(gateway) => {
            drop(gateway.killed().await);
            false
        }
        Err((status, output)) => {
            assert!(
                status.code().is_none(),
                "{scope} {call}: {status}: {output}"
            );
            true
        }
    };
    faults.heal();
    match Gateway::try_spawn(place.clone()).await {
        Ok(gateway) => {
            let profiles = gateway.admin().get("/api/governance/access-profiles").await;
            assert!(profiles["access_profiles"].is_array(), "{profiles}");
            let left = place.data_dir().join("master.key.part");
            assert!(!left.exists(), "{scope} {call}: a copy of the key");
        }
        Err((status, output)) => panic!("{action:?} at {scope} {call}: {status}: {output}"),
    }
    died
}

#[tokio::test]
async fn killed_at_every_call_on_a_file_beside_the_database() {
    for scope in ["/data/master.key", "/data/journal", "/data/tollgate.run"] {
        let mut call = 0;
        // A write is done by half; anything else not at all.
        while dies_and_starts(scope, Action::TornWrite(500), call).await {
            call += 1;
        }
        assert!(call > 0, "{scope} was never written");
    }
}

#[tokio::test]
async fn killed_while_the_database_is_made() {
    let mut deaths = 0;
    for call in (0..400).step_by(29) {
        let action = Action::TornWrite(700);
        deaths += u64::from(dies_and_starts("/data/tollgate.db", action, call).await);
    }
    assert!(deaths > 5, "{deaths}");
}

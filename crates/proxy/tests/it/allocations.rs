//! How often the hot path asks for memory: a figure that does not depend on the machine.

use std::sync::mpsc;
use std::thread;

use tollgate_testkit::provider::{Chat, MockProvider};

use crate::harness::{Setup, World, question, streamed_question};

/// A provider on a thread of its own, so that its allocations do not count.
fn provider_elsewhere() -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let mock = MockProvider::start().await;
            mock.on_model("small", Chat::default().pieces(vec!["word"; 16]));
            mock.on_model("thinker", Chat::default().pieces(vec!["word"; 116]));
            tell.send(mock.base_url()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Allocations of one request on a warm connection, that of making and reading it included.
fn allocations(runtime: &tokio::runtime::Runtime, world: &World, body: &serde_json::Value) -> u64 {
    let ask = || runtime.block_on(async { assert_eq!(world.chat(body).await.status, 200) });
    ask();
    allocation_counter::measure(ask).count_total
}

#[test]
fn a_request_takes_few_and_a_chunk_almost_none() {
    let base_url = provider_elsewhere();
    let runtime = runtime();
    let world = runtime.block_on(async { Setup::at(&base_url).start() });
    let plain = allocations(&runtime, &world, &question());
    assert!(plain < 58, "{plain} allocations for a plain request");
    let short = allocations(&runtime, &world, &streamed_question());
    let mut long = streamed_question();
    long["model"] = "mock/thinker".into();
    let long = allocations(&runtime, &world, &long);
    // A chunk may come alone: then it takes the buffer that it was read into, and the test's own copy of it.
    let each = long.saturating_sub(short) / 100;
    assert!(each <= 2, "{each} allocations for each further chunk");
}

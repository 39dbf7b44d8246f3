//! `kill -9` under load, at random instants. Invariant I3, both inequalities: the cost of the answers that clients
//! received ≤ the counters after the restart ≤ that and the bounds of what was not answered. In the mode `bound` the
//! counters also cover whatever the upstream was made to do.

use serde_json::Value;
use tokio::task::JoinSet;
use tollgate_testkit::provider::{Behaviour, Chat, MockProvider};

use crate::black_box::{Caller, Stage, bound, chat, cost};

const CLIENTS: u64 = 200;
/// `TOLLGATE_TEST_CRASHES` asks for more than an ordinary run has time for.
const CRASHES: u64 = 8;

/// What clients know, in nano-dollars.
#[derive(Default)]
struct ClientBooks {
    /// Cost of answers that came whole.
    answered: i64,
    /// Bounds of requests of which no whole answer came.
    unanswered: i64,
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// The upstream takes its usage from the request, so that both sides of the test know what an answer costs.
fn usage_of(request: &Value) -> (u64, u64) {
    let tokens = request["max_tokens"].as_u64().unwrap();
    (20 + tokens % 50, tokens.div_ceil(2))
}

fn upstream() -> Behaviour {
    Behaviour::respond(|request| {
        let (input, output) = usage_of(&request.json());
        let pieces = (0..8).map(|n| format!("piece {n} "));
        Chat::default()
            .pieces(pieces)
            .usage(input, output)
            .script(request)
    })
}

/// One client that asks again and again until the gateway is gone.
async fn ask_until_it_is_gone(caller: Caller, mut dice: Dice) -> ClientBooks {
    let mut books = ClientBooks::default();
    loop {
        let is_stream = dice.roll(2) == 0;
        let body = chat("small", 1 + dice.roll(300), is_stream);
        let (input, output) = usage_of(&body);
        let max_tokens = body["max_tokens"].as_u64().unwrap();
        let is_whole = match caller.chat(&body).await {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{answer:?}");
                !is_stream || answer.text.ends_with("data: [DONE]\n\n")
            }
            Err(_) => false,
        };
        if is_whole {
            books.answered += cost(input, output);
        } else {
            books.unanswered += bound(body.to_string().len(), max_tokens);
            return books;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test may run is for whoever starts it to say"
)]
fn crashes() -> u64 {
    std::env::var("TOLLGATE_TEST_CRASHES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CRASHES)
}

fn billed(provider: &MockProvider) -> i64 {
    provider
        .exchanges()
        .iter()
        .map(|exchange| cost(exchange.billed.input, exchange.billed.output))
        .sum()
}

#[tokio::test]
async fn counters_after_a_crash_cover_every_answer_and_no_more_than_the_bounds() {
    let Stage {
        mut gateway,
        provider,
        mut caller,
    } = Stage::new(1_000_000.0, "bound").await;
    provider.always(upstream());
    let mut books = ClientBooks::default();
    let mut dice = Dice(7);
    for crash in 0..crashes() {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let dice = Dice(crash * CLIENTS + client);
            clients.spawn(ask_until_it_is_gone(caller.clone(), dice));
        }
        // The instant: when the upstream has heard of so many further requests.
        let further = 1 + usize::try_from(dice.roll(4 * CLIENTS)).unwrap();
        provider
            .wait_for(provider.exchanges().len() + further)
            .await;
        gateway = gateway.killed_and_restarted().await;
        while let Some(client) = clients.join_next().await {
            let client = client.unwrap();
            books.answered += client.answered;
            books.unanswered += client.unanswered;
        }
        caller = caller.at(&gateway);
        let spent = caller.spent().await;
        let ClientBooks {
            answered,
            unanswered,
        } = books;
        assert!(
            answered <= spent && spent <= answered + unanswered,
            "crash {crash} after {further}: {answered} ≤ {spent} ≤ {answered} + {unanswered}"
        );
        let billed = billed(&provider);
        assert!(billed <= spent, "crash {crash}: billed {billed} ≤ {spent}");
        assert_eq!(caller.reserved().await, 0, "no hold outlives the process");
    }
    assert!(
        books.answered > 0 && books.unanswered > 0,
        "nothing was tested"
    );
    // Reading the journal again changes nothing, however the process ended.
    let spent = caller.spent().await;
    gateway = gateway.killed_and_restarted().await;
    assert_eq!(caller.clone().at(&gateway).spent().await, spent);
    gateway = gateway.stopped_and_restarted().await;
    assert_eq!(caller.clone().at(&gateway).spent().await, spent);
}

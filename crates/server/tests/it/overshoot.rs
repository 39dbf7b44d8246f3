//! Five hundred callers at once against one dollar, in the mode `bound`: not a nano-dollar over, and not refused early.

use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate_testkit::provider::{Behaviour, Chat};

use crate::black_box::{Caller, Stage, bound, chat, cost};

const CLIENTS: u64 = 500;
const DOLLAR: i64 = 1_000_000_000;
const MOST_TOKENS: u64 = 400;

/// Varied, and the same in every run.
fn tokens(client: u64, turn: u64) -> u64 {
    1 + (client * 7_919 + turn * 104_729) % MOST_TOKENS
}

/// Asks until the budget is spent. Returns the cost of the whole answers, and the bound of the largest request.
async fn ask_until_it_is_spent(
    caller: Caller,
    client: u64,
    finished: watch::Sender<()>,
) -> (i64, i64) {
    let (mut answered, mut largest) = (0, 0);
    for turn in 0.. {
        let tokens = tokens(client, turn);
        let body = chat("small", tokens, (client + turn).is_multiple_of(2));
        largest = largest.max(bound(body.to_string().len(), tokens));
        // A budget that is full of running requests has room again when one of them is finished.
        let mut next_finished = finished.subscribe();
        let answer = caller.chat(&body).await.unwrap();
        match (answer.status, answer.code().as_str()) {
            (200, _) => {
                answered += cost(40, tokens / 2);
                finished.send_replace(());
            }
            (429, "budget_in_flight") => {
                assert!(!answer.header("retry-after").is_empty());
                next_finished.changed().await.unwrap();
            }
            (402, "budget_exceeded") => break,
            _ => panic!("{answer:?}"),
        }
    }
    (answered, largest)
}

#[tokio::test]
async fn a_budget_in_bound_mode_is_spent_and_never_passed() {
    let stage = Stage::new(1.0, "bound").await;
    stage.provider.always(Behaviour::respond(|request| {
        let tokens = request.json()["max_tokens"].as_u64().unwrap();
        Chat::default().usage(40, tokens / 2).script(request)
    }));
    let finished = watch::Sender::new(());
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let caller = stage.caller.clone();
        clients.spawn(ask_until_it_is_spent(caller, client, finished.clone()));
    }
    let (mut answered, mut largest) = (0, 0);
    while let Some(client) = clients.join_next().await {
        let (its_answers, its_largest) = client.unwrap();
        answered += its_answers;
        largest = largest.max(its_largest);
        assert!(stage.caller.spent().await <= DOLLAR);
    }
    let spent = stage.caller.spent_when_idle().await;
    assert_eq!(
        spent, answered,
        "every answer came whole, so nothing else is charged"
    );
    assert!(spent <= DOLLAR, "{spent}");
    assert!(
        spent > DOLLAR / 100 * 99 - largest,
        "{spent}, largest {largest}"
    );
    let billed: i64 = stage
        .provider
        .exchanges()
        .iter()
        .map(|exchange| cost(exchange.billed.input, exchange.billed.output))
        .sum();
    assert_eq!(
        billed, spent,
        "the upstream was made to do exactly what was charged"
    );
}

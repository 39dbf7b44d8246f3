//! Many clients that ask until they are refused for good.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate_testkit::provider::{Behaviour, Chat};

use crate::black_box::{Answer, Caller, bound, chat, cost};

const MOST_TOKENS: u64 = 400;

/// What a request costs, by its body. Clients and upstream both know it.
type Usage = fn(&Value) -> (u64, u64);

/// 40 tokens, and half of what it may answer.
pub(super) fn half(request: &Value) -> (u64, u64) {
    (40, request["max_tokens"].as_u64().unwrap() / 2)
}

/// An upstream with these costs.
pub(super) fn upstream(usage: Usage) -> Behaviour {
    Behaviour::respond(move |request| {
        let (input, output) = usage(&request.json());
        Chat::default().usage(input, output).script(request)
    })
}

/// Of varied size, plain or streamed, and the same in every run.
pub(super) fn varied(client: u64, turn: u64) -> Value {
    let tokens = 1 + (client * 7_919 + turn * 104_729) % MOST_TOKENS;
    chat("small", tokens, (client + turn).is_multiple_of(2))
}

/// What a crowd got.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Cost of the whole answers.
    pub(super) answered: i64,
    pub(super) answers: u64,
    /// Tokens of the whole answers.
    pub(super) tokens: u64,
    /// The bound of the largest request.
    pub(super) largest: i64,
    /// The bound of the largest request in tokens.
    pub(super) largest_tokens: u64,
    /// The final refusals, by their code and the kind of the holder whose limit it was.
    pub(super) refused: BTreeMap<(String, String), u64>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.answers += other.answers;
        self.tokens += other.tokens;
        self.largest = self.largest.max(other.largest);
        self.largest_tokens = self.largest_tokens.max(other.largest_tokens);
        for (whose, count) in other.refused {
            *self.refused.entry(whose).or_default() += count;
        }
    }

    /// How many clients were refused for good by a limit of this kind of holder.
    pub(super) fn refused_by(&self, code: &str, holder: &str) -> u64 {
        let whose = (code.to_owned(), holder.to_owned());
        self.refused.get(&whose).copied().unwrap_or(0)
    }
}

/// The crowd.
pub(super) struct Crowd {
    pub(super) clients: u64,
    pub(super) usage: Usage,
    pub(super) request: fn(u64, u64) -> Value,
}

impl Crowd {
    /// All ask at once, the callers in turn, each until it is refused for good. `watch` is called after each.
    pub(super) async fn ask(&self, callers: &[Caller], mut look: impl AsyncFnMut()) -> Outcome {
        let finished = Arc::new(watch::Sender::new(()));
        let mut clients = JoinSet::new();
        for (client, caller) in (0..self.clients).zip(callers.iter().cycle()) {
            let client = Client {
                caller: caller.clone(),
                number: client,
                usage: self.usage,
                request: self.request,
                finished: finished.clone(),
            };
            clients.spawn(client.ask_until_refused());
        }
        let mut outcome = Outcome::default();
        while let Some(client) = clients.join_next().await {
            outcome.add(client.unwrap());
            look().await;
        }
        outcome
    }
}

struct Client {
    caller: Caller,
    number: u64,
    usage: Usage,
    request: fn(u64, u64) -> Value,
    finished: Arc<watch::Sender<()>>,
}

impl Client {
    async fn ask_until_refused(self) -> Outcome {
        let mut outcome = Outcome::default();
        for turn in 0.. {
            let body = (self.request)(self.number, turn);
            let (bytes, tokens) = (body.to_string().len(), body["max_tokens"].as_u64().unwrap());
            outcome.largest = outcome.largest.max(bound(bytes, tokens));
            let most_tokens = u64::try_from(bytes).unwrap() + 64 + tokens;
            outcome.largest_tokens = outcome.largest_tokens.max(most_tokens);
            // A limit that is full of running requests has room again when one of them is finished.
            let mut next_finished = self.finished.subscribe();
            let answer = self.caller.chat(&body).await.unwrap();
            if answer.status == 200 {
                let (input, output) = (self.usage)(&body);
                outcome.answered += cost(input, output);
                outcome.tokens += input + output;
                outcome.answers += 1;
                self.finished.send_replace(());
                continue;
            }
            if is_transient(&answer) {
                assert_eq!(answer.status, 429, "{answer:?}");
                assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
                next_finished.changed().await.unwrap();
                continue;
            }
            *outcome.refused.entry(whose(&answer)).or_default() += 1;
            break;
        }
        outcome
    }
}

fn is_transient(answer: &Answer) -> bool {
    answer.json()["error"]["details"]["is_transient"] == Value::Bool(true)
}

/// The code of a refusal, and the kind of the holder that it names. The message names it as well.
fn whose(answer: &Answer) -> (String, String) {
    let error = &answer.json()["error"];
    let holder = &error["details"]["holder"];
    let name = holder["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer:?}"));
    assert!(
        error["message"].as_str().unwrap().contains(name),
        "{answer:?}"
    );
    assert!(error["details"]["resets_at"].is_string(), "{answer:?}");
    assert_eq!(
        answer.header("x-tollgate-error-source"),
        "gateway",
        "{answer:?}"
    );
    (answer.code(), holder["kind"].as_str().unwrap().to_owned())
}

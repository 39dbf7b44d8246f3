//! A gateway under load that dies again and again, and what its clients and its upstream know of the money.

use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;
use tollgate_testkit::provider::{Behaviour, Chat, MockProvider};

use crate::black_box::{Caller, Gateway, Place, Stage, bound, chat, cost};

/// The same numbers in every run.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// SplitMix64.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// What clients know, in nano-dollars.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClientBooks {
    /// Cost of answers that came whole.
    pub(super) answered: i64,
    /// Bounds of requests of which no whole answer came.
    pub(super) unanswered: i64,
    /// Requests that were refused because the journal takes nothing.
    pub(super) refused: u64,
}

impl ClientBooks {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.refused += other.refused;
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
        let pieces = (0..4).map(|n| format!("piece {n} "));
        Chat::default()
            .pieces(pieces)
            .usage(input, output)
            .script(request)
    })
}

/// Asks once. Yields whether it is worth asking again.
pub(super) async fn ask(caller: &Caller, dice: &mut Dice, books: &mut ClientBooks) -> bool {
    let is_stream = dice.roll(2) == 0;
    let body = chat("small", 1 + dice.roll(300), is_stream);
    let (input, output) = usage_of(&body);
    let most = bound(body.to_string().len(), body["max_tokens"].as_u64().unwrap());
    let Ok(answer) = caller.chat(&body).await else {
        books.unanswered += most;
        return false;
    };
    match (answer.status, answer.code().as_str()) {
        (200, _) if !is_stream || answer.text.ends_with("data: [DONE]\n\n") => {
            books.answered += cost(input, output);
            true
        }
        // The journal did not take the end: it came no further than that.
        (200, _) => {
            books.unanswered += most;
            true
        }
        (503, "ledger_unavailable") => {
            assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
            // Before it was sent, or when its end could not be written.
            books.unanswered += most;
            books.refused += 1;
            true
        }
        (503, "shutting_down") => false,
        _ => panic!("{answer:?}"),
    }
}

/// One client that asks again and again until the gateway is gone.
async fn ask_until_it_is_gone(caller: Caller, mut dice: Dice) -> ClientBooks {
    let mut books = ClientBooks::default();
    while ask(&caller, &mut dice, &mut books).await {}
    books
}

/// The gateway, its upstream, and the books of everybody.
pub(super) struct Storm {
    pub(super) provider: MockProvider,
    pub(super) caller: Caller,
    pub(super) books: ClientBooks,
    pub(super) dice: Dice,
    crashes: u64,
}

impl Storm {
    /// A first gateway, and a caller who is never refused for lack of money.
    pub(super) async fn begin(place: Place, seed: u64) -> (Self, Gateway) {
        let Stage {
            gateway,
            provider,
            caller,
        } = Stage::at(place, 1_000_000.0, "bound").await;
        provider.always(upstream());
        let storm = Self {
            provider,
            caller,
            books: ClientBooks::default(),
            dice: Dice(seed),
            crashes: 0,
        };
        (storm, gateway)
    }

    /// So many clients that ask until the gateway is gone.
    pub(super) fn clients(&mut self, count: u64) -> JoinSet<ClientBooks> {
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let dice = Dice(self.dice.roll(u64::MAX));
            clients.spawn(ask_until_it_is_gone(self.caller.clone(), dice));
        }
        clients
    }

    /// Kills it from outside, when the upstream has heard of so many further requests.
    pub(super) async fn kill_after_requests(&self, gateway: Gateway, further: u64) -> Arc<Place> {
        let heard = self.provider.exchange_count() + usize::try_from(further).unwrap();
        self.provider.wait_for_count(heard).await;
        gateway.killed().await
    }

    pub(super) async fn collect(&mut self, mut clients: JoinSet<ClientBooks>) {
        while let Some(client) = clients.join_next().await {
            self.books.add(client.unwrap());
        }
    }

    /// Starts it again, and holds its counters against what everybody knows.
    pub(super) async fn restart(&mut self, place: Arc<Place>) -> Gateway {
        let gateway = Gateway::spawn(place).await;
        self.caller = self.caller.clone().at(&gateway);
        self.crashes += 1;
        let spent = self.caller.spent().await;
        let ClientBooks {
            answered,
            unanswered,
            ..
        } = self.books;
        assert!(
            answered <= spent && spent <= answered + unanswered,
            "crash {}: {answered} ≤ {spent} ≤ {answered} + {unanswered}",
            self.crashes
        );
        let billed = self.billed();
        assert!(
            billed <= spent,
            "crash {}: billed {billed} ≤ {spent}",
            self.crashes
        );
        assert_eq!(
            self.caller.reserved().await,
            0,
            "no hold outlives the process"
        );
        gateway
    }

    /// What the upstream was made to do.
    fn billed(&self) -> i64 {
        let billed = self.provider.billed();
        cost(billed.input, billed.output)
    }

    /// What came of it, for those who look at the output.
    #[expect(
        clippy::print_stdout,
        reason = "the measurement is shown with the test"
    )]
    fn report(&self, requests: u64, spent: i64) {
        let ClientBooks {
            answered,
            unanswered,
            ..
        } = self.books;
        println!(
            "{} crashes, {requests} requests: answers {answered} ≤ counters {spent} ≤ {} nano-dollars",
            self.crashes,
            answered + unanswered
        );
    }

    /// The end of a run: something was tested, restarts change nothing, and the log says what the counters say.
    pub(super) async fn finish(self, gateway: Gateway) {
        let ClientBooks {
            answered,
            unanswered,
            ..
        } = self.books;
        assert!(answered > 0 && unanswered > 0, "nothing was tested");
        let spent = self.caller.spent().await;
        let gateway = gateway.killed_and_restarted().await;
        assert_eq!(self.caller.clone().at(&gateway).spent().await, spent);
        // The end of a stop brings everything into the database.
        let gateway = gateway.stopped_and_restarted().await;
        assert_eq!(self.caller.clone().at(&gateway).spent().await, spent);
        let (requests, logged) = gateway.admin().logged().await;
        assert_eq!(logged, spent, "the rows of the request log");
        let stats = gateway.admin().get("/api/logs/stats").await;
        let total = &stats["total"];
        assert_eq!(total["requests"].as_u64(), Some(requests));
        assert_eq!(
            crate::black_box::nanos(&total["cost_usd"]),
            spent,
            "its sums"
        );
        self.report(requests, spent);
    }
}

//! An OpenAI-compatible upstream on loopback that answers by script, and keeps its own books.
//!
//! The books are what a provider's invoice would be made from: every request it got, how far it came with the answer,
//! and the tokens it spent on it. Tests of accounting hold the gateway's counters against them.

mod books;
mod chat;
mod connection;
mod request;
mod script;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tollgate_domain::TokenUsage;

pub use books::{End, Exchange};
pub use chat::{Chat, Fault};
pub use request::ProviderRequest;
pub use script::{Gate, Script, Step};

use books::Books;

/// How to answer one request.
#[derive(Clone)]
pub enum Behaviour {
    /// As a provider in good health, or with a fault on the way: plain, streamed or embeddings, as the request asks.
    Chat(Chat),
    /// Exactly these bytes and events.
    Script(Script),
    /// Whatever the function says.
    Respond(Arc<dyn Fn(&ProviderRequest) -> Script + Send + Sync>),
}

impl Behaviour {
    /// Decides by looking at the request.
    pub fn respond(with: impl Fn(&ProviderRequest) -> Script + Send + Sync + 'static) -> Self {
        Self::Respond(Arc::new(with))
    }

    fn script(&self, request: &ProviderRequest) -> Script {
        match self {
            Self::Chat(chat) => chat.script(request),
            Self::Script(script) => script.clone(),
            Self::Respond(with) => with(request),
        }
    }
}

impl From<Chat> for Behaviour {
    fn from(chat: Chat) -> Self {
        Self::Chat(chat)
    }
}

impl From<Script> for Behaviour {
    fn from(script: Script) -> Self {
        Self::Script(script)
    }
}

/// What is said next, by what; the first that applies wins.
struct Plan {
    queue: VecDeque<Behaviour>,
    by_model: BTreeMap<String, Behaviour>,
    otherwise: Behaviour,
}

/// The upstream. It stops when it is dropped.
pub struct MockProvider {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    books: Arc<Books>,
    _server: JoinSet<()>,
}

impl MockProvider {
    /// Listens on a free port of loopback, and answers everything with [`Chat::default`].
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let plan = Arc::new(Mutex::new(Plan {
            queue: VecDeque::new(),
            by_model: BTreeMap::new(),
            otherwise: Chat::default().into(),
        }));
        let books = Arc::new(Books::default());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, plan.clone(), books.clone()));
        Self {
            address,
            plan,
            books,
            _server: server,
        }
    }

    /// Where it listens, without `/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers this way when nothing else was said.
    pub fn always(&self, behaviour: impl Into<Behaviour>) {
        self.plan.lock().otherwise = behaviour.into();
    }

    /// Answers requests for `model` this way.
    pub fn on_model(&self, model: &str, behaviour: impl Into<Behaviour>) {
        self.plan
            .lock()
            .by_model
            .insert(model.to_owned(), behaviour.into());
    }

    /// Answers one further request this way, before everything else that was said.
    pub fn next(&self, behaviour: impl Into<Behaviour>) {
        self.plan.lock().queue.push_back(behaviour.into());
    }

    /// The books so far, in order of arrival.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.books.exchanges()
    }

    /// How many requests have arrived.
    pub fn exchange_count(&self) -> usize {
        self.books.count()
    }

    /// The work done for all of them, which an invoice would show.
    pub fn billed(&self) -> TokenUsage {
        self.books.billed()
    }

    /// Returns the books as soon as they satisfy `enough`.
    pub async fn wait_until(&self, enough: impl FnMut(&[Exchange]) -> bool) -> Vec<Exchange> {
        self.books.wait_until(enough).await
    }

    /// Returns the books as soon as `count` requests have arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<Exchange> {
        self.wait_until(|exchanges| exchanges.len() >= count).await
    }

    /// The same without the books, which grow long in a test of many requests.
    pub async fn wait_for_count(&self, count: usize) {
        self.books.wait_for_count(count).await;
    }
}

async fn serve(listener: TcpListener, plan: Arc<Mutex<Plan>>, books: Arc<Books>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let (plan, books) = (plan.clone(), books.clone());
                connections.spawn(async move {
                    let decide = |request: &ProviderRequest| decide(&plan, request);
                    // A client that leaves is no failure of the mock; the books say how far it came.
                    let _ = connection::run(stream, &decide, &books).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn decide(plan: &Mutex<Plan>, request: &ProviderRequest) -> Script {
    let behaviour = {
        let mut plan = plan.lock();
        let by_model = |plan: &Plan| plan.by_model.get(&request.model()).cloned();
        match plan.queue.pop_front() {
            Some(next) => next,
            None => by_model(&plan).unwrap_or_else(|| plan.otherwise.clone()),
        }
    };
    behaviour.script(request)
}

/// A port of loopback that refuses connections for as long as this lives.
pub struct ClosedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl ClosedPort {
    /// Takes a free port without listening on it, so that nobody else can.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a free port");
        Self {
            address: socket.local_addr().expect("a bound socket has an address"),
            _bound: socket,
        }
    }

    /// As of a provider that is down.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Default for ClosedPort {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;

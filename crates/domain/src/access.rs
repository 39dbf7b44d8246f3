//! Access profiles and the one function that decides.
//!
//! [`profile`] is what an administrator writes; [`grant`] is the same, compiled for the data plane; [`evaluate()`]
//! joins them with the caller and the request into a [`Plan`].

mod decision;
mod estimate;
mod evaluate;
mod grant;
mod model_list;
mod plan;
pub mod profile;
mod request;
mod settings;
mod simulate;

pub use decision::{
    ConsideredView, Decision, EstimateView, Explain, KeyView, MeterView, PayerView, Question,
    Reason, Subject, UnknownSubject,
};
pub use estimate::{Estimate, Learned, LearnedModel, NothingLearned};
pub use evaluate::evaluate;
pub use grant::{Copy, ModelMeters, ProviderGrant};
pub use model_list::{InvalidModelPattern, ModelList};
pub use plan::{Candidate, Considered, Need, Outcome, Payer, Plan, Refusal};
pub use request::{Endpoint, ModelRequest};
pub use settings::Settings;
pub use simulate::{MOST_LISTED, SimulatedHolder, SimulatedRefusal, Simulation, Simulator};

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
mod tools;

pub use decision::{
    ConsideredView, Decision, EstimateView, Explain, KeyView, MeterView, ModelWish, PayerView,
    Question, Reason, Subject, UnknownSubject, Wish,
};
pub use estimate::{Estimate, Learned, LearnedModel, NothingLearned, OutputDefaults};
pub use evaluate::{evaluate, evaluate_any_model, evaluate_tool};
pub use grant::{Copy, ModelMeters, ProviderGrant};
pub use model_list::{InvalidModelPattern, ModelList};
pub use plan::{Candidate, Considered, Need, Outcome, Passage, Payer, Plan, Refusal};
pub use request::{AnyModelRequest, Endpoint, ModelRequest, ToolRequest};
pub use settings::Settings;
pub use simulate::{MOST_LISTED, SimulatedHolder, SimulatedRefusal, Simulation, Simulator};
pub use tools::{ALL_TOOLS, ToolSet};

//! The federation's logic: pure. Nothing here is async, does I/O, reads a clock or draws a random number by itself;
//! time and randomness come in as values, and what is to be done comes out as [`Action`]s.

mod backoff;
mod balancer;
mod breaker;
mod error;
mod health;
mod hops;
mod intake;
mod level;
mod links;
mod pending;
mod rate;
mod registry;
mod router;
mod trust;
mod views;
mod window;

pub use backoff::{Backoff, BackoffPolicy};
pub use balancer::{Balancer, CallOutcome, Candidates, Choice, Flight, Policy, UnknownPolicy, WhenAllOut};
pub use breaker::{
    Breaker, Breakers, Changes as BreakerChanges, Permit, Refused, Stage as BreakerStage,
    State as BreakerState, Verdict, counts,
};
pub use error::{CallError, ErrorData, Failure, SenderLimit};
pub use intake::call_limit;
pub use level::Level;
pub use links::{Admission, LinkId, LinkInfo, LinkRole};
pub use rate::Gcra;
pub use registry::{Listing, Registry, Remembered, Scope};
pub use router::{Action, Answer, Call, CallId, Delivery, Moment, Router, RouterConfig, Ticket};
pub use trust::{
    Claim, Entry, ListError, Pinned, Refusal, Secret, TrustPolicy, TrustedKeys, judge, judge_legacy,
};

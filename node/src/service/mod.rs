//! The services that a node offers: described in a service file, called by the router.

mod callers;
mod file;
mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::env::{BoxFuture, Env};
use crate::federation::{Delivery, Failure, Policy};
use crate::wire::{ServiceOffer, payload};

pub use callers::{Caller, CallerError};
pub use file::{ServiceFileError, parse as parse_service_file};
pub use upstream::{HttpUrl, Upstream};

/// What a service gave: JSON, or why not.
pub type Outcome = Result<Box<RawValue>, Failure>;

/// A service as its operator describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Its name in the federation.
    pub name: String,
    /// What it does.
    pub kind: ServiceKind,
    /// The methods that it has; empty where any is passed on.
    pub methods: Vec<String>,
    /// How long one call may take, whatever its caller allows.
    pub timeout: Option<Duration>,
    /// How its calls are to be spread over the service's instances; `None` leaves it to the Main.
    pub balance: Option<Policy>,
    /// Who may call it; everybody where there is no list. This node's own clients always may.
    pub allow: Option<Vec<Caller>>,
}

/// The kinds of service.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceKind {
    /// Answers with its arguments.
    Echo,
    /// Answers each method with a fixed JSON value.
    Static(BTreeMap<String, serde_json::Value>),
    /// Passes calls on to a JSON-RPC service over HTTP on this node's own network.
    Http(HttpUrl),
}

/// All services of one node, ready to be called.
pub struct Services(BTreeMap<String, Service>);

struct Service {
    spec: ServiceSpec,
    /// The upstream's connections; for `http` services only.
    upstream: Option<Arc<Upstream>>,
}

/// A call that a service has taken.
pub enum Started {
    /// It is answered already.
    Done(Outcome),
    /// It takes time.
    Running(BoxFuture<'static, Outcome>),
}

impl Services {
    /// Makes the services of these descriptions ready.
    pub fn new(specs: Vec<ServiceSpec>) -> Self {
        let ready = specs.into_iter().map(|spec| {
            let upstream = match &spec.kind {
                ServiceKind::Http(url) => Some(Arc::new(Upstream::new(url.clone()))),
                ServiceKind::Echo | ServiceKind::Static(_) => None,
            };
            (spec.name.clone(), Service { spec, upstream })
        });
        Services(ready.collect())
    }

    /// What the node tells others of its services.
    pub fn offers(&self) -> Vec<ServiceOffer> {
        self.0
            .values()
            .map(|service| ServiceOffer {
                name: service.spec.name.clone(),
                methods: service.spec.methods.clone(),
                balance: service.spec.balance,
            })
            .collect()
    }

    /// Has the service of this call answer it.
    pub fn start(&self, env: &Env, call: &Delivery) -> Started {
        let Some(service) = self.0.get(&call.request.service) else {
            // The router delivers only what is offered.
            let what = format!("the service {} is offered but not there", call.request.service);
            return Started::Done(Err(Failure::Internal(what)));
        };
        let spec = &service.spec;
        if let (Some(allow), Some(caller)) = (&spec.allow, &call.caller)
            && !allow.iter().any(|entry| entry.is(caller))
        {
            let (service, caller) = (spec.name.clone(), caller.clone());
            return Started::Done(Err(Failure::NotAllowed { service, caller }));
        }
        let method = &call.request.method;
        if !spec.methods.is_empty() && !spec.methods.contains(method) {
            let has = spec.methods.join(", ");
            return Started::Done(Err(Failure::NoSuchMethod(format!(
                "{} has {has}, not {method}",
                spec.name
            ))));
        }
        let params = match call.request.params() {
            Ok(params) => params,
            Err(error) => return Started::Done(Err(Failure::Malformed(error.to_string()))),
        };
        match (&spec.kind, &service.upstream) {
            (ServiceKind::Static(answers), _) => Started::Done(match answers.get(method) {
                Some(answer) => Ok(payload(answer)),
                None => Err(Failure::NoSuchMethod(format!("{} has no answer for {method}", spec.name))),
            }),
            (ServiceKind::Http(_), Some(upstream)) => {
                // Where the caller's time is up first, the router ends the call and says so.
                let limit = spec.timeout.filter(|limit| *limit < call.timeout);
                let context = call.traceparent.clone();
                let call = Arc::clone(upstream).call(env.clone(), method.clone(), params, context);
                let (env, name) = (env.clone(), spec.name.clone());
                let Some(limit) = limit else { return Started::Running(Box::pin(call)) };
                Started::Running(Box::pin(async move {
                    env.deadline(limit, call).await.unwrap_or_else(|| {
                        let message = format!("{name} did not answer within {limit:?}");
                        Err(Failure::ServiceFailed { message, detail: None })
                    })
                }))
            }
            (ServiceKind::Echo | ServiceKind::Http(_), _) => {
                Started::Done(Ok(params.unwrap_or_else(|| payload(&()))))
            }
        }
    }
}

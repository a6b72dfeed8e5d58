//! Simulated JSON-RPC servers beside the relays, for services of kind `http`. They echo.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rand::RngExt;
use relay_node::env::{Env, Rng};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::ProcessKind;
use crate::scenario::{ServiceKind, Upstream};
use crate::world::World;

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Starts the server of every such service on every host that offers it.
pub fn start(world: &World) {
    let topology = &world.scenario.topology;
    for (index, _) in topology.hosts.iter() {
        for (service, described) in topology.services.iter().enumerate() {
            if let ServiceKind::Http(plan) = described.kind
                && topology.offers(index, service)
            {
                let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), World::upstream_port(service));
                let host = world.host(index);
                world.sim.start(host, "upstream", ProcessKind::Harness, |env| Box::pin(serve(env, at, plan)));
            }
        }
    }
}

async fn serve(env: Env, at: SocketAddr, plan: Upstream) {
    let mut listener = env.network.listen(at).await.expect("the scenario's upstream ports are free");
    let rng = Arc::new(Mutex::new(env.rng("upstream")));
    while let Ok((stream, _)) = listener.accept().await {
        let (task_env, rng) = (env.clone(), Arc::clone(&rng));
        env.spawn("upstream-connection", async move {
            let service = service_fn(|request| answer(&task_env, &rng, plan, request));
            // A relay that goes away breaks its connection: nothing to do about it here.
            let _ = http1::Builder::new()
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    env: &Env,
    rng: &Mutex<Rng>,
    plan: Upstream,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (extra, fails) = {
        let mut rng = rng.lock().expect("nothing panics with the generator");
        (rng.random::<f64>(), rng.random::<f64>() < plan.failure_rate.as_f64())
    };
    let Ok(body) = request.into_body().collect().await else {
        return Ok(Response::new(Full::default()));
    };
    env.sleep(plan.latency + plan.jitter.mul_f64(extra)).await;
    let body = body.to_bytes();
    let text = match serde_json::from_slice::<Call<'_>>(&body) {
        Ok(call) => {
            let id = call.id.map_or("null", RawValue::get);
            if fails {
                let error = r#"{"code":-32000,"message":"the scenario wants this call to fail"}"#;
                format!(r#"{{"jsonrpc":"2.0","error":{error},"id":{id}}}"#)
            } else {
                format!(
                    r#"{{"jsonrpc":"2.0","result":{},"id":{id}}}"#,
                    call.params.map_or("null", RawValue::get)
                )
            }
        }
        Err(error) => format!(
            r#"{{"jsonrpc":"2.0","error":{{"code":-32700,"message":{}}},"id":null}}"#,
            serde_json::Value::from(error.to_string())
        ),
    };
    Ok(Response::new(Full::from(text)))
}

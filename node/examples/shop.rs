//! A shop that counts its reviews: a JSON-RPC service beside a Home Relay (`examples/shop.toml`).
//!
//! `get_products` asks `blog_service`, wherever in the federation it is, for the reviews of all products. `get_product`
//! is what the blog asks of the shop; it asks nobody, so that the two never call each other in circles.

mod jsonrpc;

use clap::Parser;
use serde_json::{Value, json};

use jsonrpc::{Home, RpcError};

/// Each product: its id, its name, its price in cents.
const PRODUCTS: [(&str, &str, u32); 3] =
    [("pan", "Iron pan", 4_900), ("lamp", "Camping lamp", 2_450), ("kettle", "Kettle", 3_100)];

#[derive(Parser)]
#[command(about = "The example shop: answers get_products and get_product over JSON-RPC")]
struct Args {
    /// The loopback port to answer on; 0 takes a free one
    #[arg(long, default_value_t = 9002)]
    port: u16,
    /// The /rpc of the Home Relay beside it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8092/rpc")]
    home: Home,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let Args { port, home } = Args::parse();
    let through = home.clone();
    jsonrpc::serve("shop", port, &home, move |method, params| answer(through.clone(), method, params)).await
}

async fn answer(home: Home, method: String, params: Value) -> Result<Value, RpcError> {
    match method.as_str() {
        "get_products" => Ok(get_products(&home).await),
        "get_product" => get_product(&params),
        _ => Err(RpcError::new(
            -32601,
            format!("method not found: {method}; there are get_products, get_product"),
        )),
    }
}

/// All products. Where the reviews cannot be had, their number is `null`, and the product says why.
async fn get_products(home: &Home) -> Value {
    let reviews = home.remote_call("blog_service", "get_reviews", json!({})).await;
    let with_reviews = |(id, name, cents): &(&str, &str, u32)| {
        let mut product = json!({ "id": id, "name": name, "price_cents": cents });
        match &reviews {
            Ok(reviews) => {
                let all = reviews.as_array().map(Vec::as_slice).unwrap_or_default();
                product["reviews"] = all.iter().filter(|review| review["product"] == *id).count().into();
            }
            Err(error) => {
                product["reviews"] = Value::Null;
                product["reviews_error"] = error.message.as_str().into();
            }
        }
        product
    };
    PRODUCTS.iter().map(with_reviews).collect()
}

/// The product `{"id": ID}`.
fn get_product(params: &Value) -> Result<Value, RpcError> {
    let wanted =
        params["id"].as_str().ok_or_else(|| RpcError::new(-32602, "invalid params: `id` is missing"))?;
    let Some((id, name, cents)) = PRODUCTS.iter().find(|(id, _, _)| *id == wanted) else {
        let known = PRODUCTS.map(|(id, _, _)| id).join(", ");
        return Err(RpcError::new(
            -32602,
            format!("invalid params: no product `{wanted}`; there are {known}"),
        ));
    };
    Ok(json!({ "id": id, "name": name, "price_cents": cents }))
}

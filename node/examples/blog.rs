//! A blog that recommends products: a JSON-RPC service beside a Home Relay (`examples/blog.toml`).
//!
//! `get_posts` asks `shop_service`, wherever in the federation it is, for the product of each post. `get_reviews` is
//! what the shop asks of the blog; it asks nobody, so that the two never call each other in circles.

mod jsonrpc;

use clap::Parser;
use futures_util::future::join_all;
use serde_json::{Value, json};

use jsonrpc::{Home, RpcError};

/// Each post: its title, and the product that it is about.
const POSTS: [(&str, &str); 3] =
    [("A week with one pan", "pan"), ("Light enough for a tent", "lamp"), ("The pan, a year later", "pan")];

#[derive(Parser)]
#[command(about = "The example blog: answers get_posts and get_reviews over JSON-RPC")]
struct Args {
    /// The loopback port to answer on; 0 takes a free one
    #[arg(long, default_value_t = 9001)]
    port: u16,
    /// The /rpc of the Home Relay beside it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8091/rpc")]
    home: Home,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let Args { port, home } = Args::parse();
    let through = home.clone();
    jsonrpc::serve("blog", port, &home, move |method, params| answer(through.clone(), method, params)).await
}

async fn answer(home: Home, method: String, params: Value) -> Result<Value, RpcError> {
    match method.as_str() {
        "get_posts" => Ok(get_posts(&home).await),
        "get_reviews" => Ok(get_reviews(&params)),
        _ => Err(RpcError::new(
            -32601,
            format!("method not found: {method}; there are get_posts, get_reviews"),
        )),
    }
}

/// All posts. One whose product cannot be had is shown without it, and says why.
async fn get_posts(home: &Home) -> Value {
    let posts = POSTS.iter().map(|(title, product)| async move {
        match home.remote_call("shop_service", "get_product", json!({ "id": product })).await {
            Ok(product) => json!({ "title": title, "product": product }),
            Err(error) => json!({ "title": title, "product": null, "product_error": error.message }),
        }
    });
    join_all(posts).await.into()
}

/// The posts about the product `{"product": ID}`, or about any.
fn get_reviews(params: &Value) -> Value {
    let wanted = params["product"].as_str();
    let reviews = POSTS.iter().filter(|(_, product)| wanted.is_none_or(|wanted| wanted == *product));
    reviews.map(|(title, product)| json!({ "title": title, "product": product })).collect()
}

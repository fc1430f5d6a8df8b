//! The paths.

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::HeaderValue;
use axum::http::header::ALLOW;
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};

use crate::asked::{error_response, uri_of};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::gzip::pack_answer;
use crate::media::{PRODUCT, Wanted};
use crate::{bulk, cat, cluster, definitions, document, fields, indices, msearch, pit, scroll, search, validate};

impl Elastic {
    /// The API; paths are relative to where it is mounted.
    pub fn router(&self) -> Router {
        searching()
            .merge(describing())
            .merge(tables())
            .merge(defining())
            .merge(writing())
            .fallback(no_handler)
            .with_state(self.clone())
            .layer(from_fn(pack_answer))
            // Also on what is refused before a handler is reached.
            .layer(map_response(tell_product))
    }
}

/// Documents and what is in them.
fn searching() -> Router<Elastic> {
    let scroll_page = || only(get(scroll::next).post(scroll::next).delete(scroll::close), "GET, POST, DELETE");
    Router::new()
        .route("/_search", asks(search::search))
        .route("/{indices}/_search", asks(search::search))
        .route("/_search/scroll", scroll_page())
        .route("/_search/scroll/{name}", scroll_page())
        .route("/{indices}/_pit", only(post(pit::open), "POST"))
        .route("/_pit", only(delete(pit::close), "DELETE"))
        .route("/{indices}/_search/point_in_time", only(post(pit::open_opensearch), "POST"))
        .route("/_search/point_in_time", only(delete(pit::close_opensearch), "DELETE"))
        .route("/_search/point_in_time/{name}", only(delete(pit::close_opensearch), "DELETE"))
        .route("/_msearch", asks(msearch::msearch))
        .route("/{indices}/_msearch", asks(msearch::msearch))
        .route("/_count", asks(search::count))
        .route("/{indices}/_count", asks(search::count))
        .route("/_validate/query", asks(validate::query))
        .route("/{indices}/_validate/query", asks(validate::query))
        .route("/_field_caps", asks(fields::caps))
        .route("/{indices}/_field_caps", asks(fields::caps))
        .route("/{indices}/_source/{name}", only(get(document::source), "GET, HEAD"))
        .route("/_mget", asks(document::mget))
        .route("/{indices}/_mget", asks(document::mget))
}

/// The server and its indices.
fn describing() -> Router<Elastic> {
    Router::new()
        .route("/", gives(cluster::root))
        .route("/_cluster/health", gives(cluster::health))
        .route("/_cluster/health/{indices}", gives(cluster::health))
        .route("/_cluster/settings", gives(cluster::settings))
        .route("/_nodes", gives(cluster::nodes))
        .route("/_nodes/{name}", gives(cluster::nodes))
        .route("/_nodes/{name}/{metric}", gives(cluster::nodes))
        .route("/_license", gives(cluster::license))
        .route("/_xpack", gives(cluster::xpack))
        .route("/_ilm/status", gives(cluster::lifecycle_status))
        .route("/_mapping", gives(indices::mapping))
        .route("/{indices}/_mapping", gives(indices::mapping))
        .route("/_settings", gives(indices::settings))
        .route("/{indices}/_settings", gives(indices::settings))
        .route("/_alias", gives(indices::aliases))
        .route("/_aliases", gives(indices::aliases))
        .route("/_alias/{name}", gives(indices::aliases))
        .route("/{indices}/_alias", gives(indices::aliases))
        .route("/{indices}/_alias/{name}", gives(indices::aliases))
        .route("/_data_stream", gives(indices::data_streams))
        .route(
            "/_data_stream/{name}",
            only(get(indices::data_streams).put(indices::create_data_stream), "GET, HEAD, PUT"),
        )
        .route("/_resolve/index/{name}", gives(indices::resolve))
        .route("/_stats", gives(indices::stats))
        .route("/_stats/{metric}", gives(indices::stats))
        .route("/{indices}/_stats", gives(indices::stats))
        .route("/{indices}/_stats/{metric}", gives(indices::stats))
        .route("/_refresh", asks(indices::refresh))
        .route("/{indices}/_refresh", asks(indices::refresh))
        .route("/_flush", asks(indices::flush))
        .route("/{indices}/_flush", asks(indices::flush))
}

/// Tables for people.
fn tables() -> Router<Elastic> {
    Router::new()
        .route("/_cat", gives(cat::help))
        .route("/_cat/indices", gives(cat::indices))
        .route("/_cat/indices/{indices}", gives(cat::indices))
        .route("/_cat/shards", gives(cat::shards))
        .route("/_cat/shards/{indices}", gives(cat::shards))
        .route("/_cat/count", gives(cat::count))
        .route("/_cat/count/{indices}", gives(cat::count))
        .route("/_cat/health", gives(cat::health))
        .route("/_cat/aliases", gives(cat::aliases))
        .route("/_cat/aliases/{name}", gives(cat::aliases))
        .route("/_cat/nodes", gives(cat::nodes))
        .route("/_cat/templates", gives(cat::templates))
        .route("/_cat/templates/{name}", gives(cat::templates))
}

/// What clients define before they write.
fn defining() -> Router<Elastic> {
    Router::new()
        .route("/_index_template", gives(definitions::index_templates))
        .route("/_index_template/{name}", defines(definitions::index_templates))
        .route("/_component_template", gives(definitions::component_templates))
        .route("/_component_template/{name}", defines(definitions::component_templates))
        .route("/_template", gives(definitions::legacy_templates))
        .route("/_template/{name}", defines(definitions::legacy_templates))
        .route("/_ilm/policy", gives(definitions::policies))
        .route("/_ilm/policy/{name}", defines(definitions::policies))
}

/// Documents and indices that are written, and what cannot be.
fn writing() -> Router<Elastic> {
    let bulk = || only(post(bulk::bulk).put(bulk::bulk), "POST, PUT");
    let document = get(document::get).put(bulk::index).post(bulk::index).delete(document::unchangeable);
    let index = get(indices::describe).put(indices::create).delete(indices::delete);
    let refused = || only(post(document::unchangeable), "POST");
    Router::new()
        .route("/{indices}", only(index, "GET, HEAD, PUT, DELETE"))
        .route("/_bulk", bulk())
        .route("/{indices}/_bulk", bulk())
        .route("/{indices}/_doc", only(post(bulk::index), "POST"))
        .route("/{indices}/_doc/{name}", only(document, "GET, HEAD, PUT, POST, DELETE"))
        .route("/{indices}/_create/{name}", only(post(bulk::create).put(bulk::create), "POST, PUT"))
        .route("/{indices}/_update/{name}", refused())
        .route("/{indices}/_delete_by_query", refused())
        .route("/{indices}/_update_by_query", refused())
        .route("/_reindex", refused())
}

/// What is asked without a body.
fn gives<H: Handler<T, Elastic>, T: 'static>(handler: H) -> MethodRouter<Elastic> {
    only(get(handler), "GET, HEAD")
}

/// What is asked with a body, perhaps.
fn asks<H: Handler<T, Elastic>, T: 'static>(handler: H) -> MethodRouter<Elastic> {
    only(get(handler.clone()).post(handler), "GET, POST")
}

/// What is made, asked for and removed.
fn defines<H: Handler<T, Elastic>, T: 'static>(handler: H) -> MethodRouter<Elastic> {
    let methods = get(handler.clone()).put(handler.clone()).post(handler.clone()).delete(handler);
    only(methods, "GET, HEAD, PUT, POST, DELETE")
}

/// Answers other methods as Elasticsearch does.
fn only(methods: MethodRouter<Elastic>, allowed: &'static str) -> MethodRouter<Elastic> {
    methods.fallback(move |request: Request| async move {
        let error = ElasticError::Method {
            uri: uri_of(&request),
            method: request.method().to_string(),
            allowed: format!("[{allowed}]"),
        };
        let mut response = error_response(&error, wanted_of(&request), false);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    })
}

async fn no_handler(request: Request) -> Response {
    let error = ElasticError::NoHandler { uri: uri_of(&request), method: request.method().to_string() };
    error_response(&error, wanted_of(&request), false)
}

fn wanted_of(request: &Request) -> Wanted {
    Wanted::read(request.headers()).unwrap_or(Wanted::Any)
}

async fn tell_product(mut response: Response) -> Response {
    response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
    response
}

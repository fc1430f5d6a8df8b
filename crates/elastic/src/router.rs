//! The paths.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::http::header::ALLOW;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use tollhouse_store::Store;

use crate::asked::{Asked, error_response, uri_of};
use crate::error::ElasticError;
use crate::media::{PRODUCT, Wanted};
use crate::{cat, info, search};

/// The API over a store; paths are relative to where it is mounted.
pub fn router(store: Store) -> Router {
    Router::new()
        .route("/", only(get(root), "GET, HEAD"))
        .route("/_cat/indices", only(get(cat_indices), "GET, HEAD"))
        .route("/_cat/indices/{indices}", only(get(cat_indices), "GET, HEAD"))
        .route("/_search", only(get(search_documents).post(search_documents), "GET, POST"))
        .route("/{indices}/_search", only(get(search_documents).post(search_documents), "GET, POST"))
        .route("/_count", only(get(count_documents).post(count_documents), "GET, POST"))
        .route("/{indices}/_count", only(get(count_documents).post(count_documents), "GET, POST"))
        .route("/_mapping", only(get(mapping), "GET, HEAD"))
        .route("/{indices}/_mapping", only(get(mapping), "GET, HEAD"))
        .route("/_refresh", only(post(refresh).get(refresh), "GET, POST"))
        .route("/{indices}/_refresh", only(post(refresh).get(refresh), "GET, POST"))
        .route("/_cluster/health", only(get(health), "GET, HEAD"))
        .fallback(no_handler)
        .with_state(store)
        // Also on what is refused before a handler is reached.
        .layer(map_response(tell_product))
}

/// Answers other methods as Elasticsearch does.
fn only(methods: MethodRouter<Store>, allowed: &'static str) -> MethodRouter<Store> {
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

async fn root(asked: Asked) -> Response {
    info::root(&asked)
}

async fn cat_indices(State(store): State<Store>, indices: Option<Path<String>>, asked: Asked) -> Response {
    cat::indices(&store, &name_of(indices), &asked).await
}

async fn search_documents(State(store): State<Store>, indices: Option<Path<String>>, asked: Asked) -> Response {
    search::answer_search(&store, &name_of(indices), &asked).await
}

async fn count_documents(State(store): State<Store>, indices: Option<Path<String>>, asked: Asked) -> Response {
    search::answer_count(&store, &name_of(indices), &asked).await
}

async fn mapping(State(store): State<Store>, indices: Option<Path<String>>, asked: Asked) -> Response {
    info::mapping(&store, &name_of(indices), &asked).await
}

async fn refresh(State(store): State<Store>, indices: Option<Path<String>>, asked: Asked) -> Response {
    info::refresh(&store, &name_of(indices), &asked).await
}

async fn health(State(store): State<Store>, asked: Asked) -> Response {
    info::health(&store, &asked).await
}

fn name_of(indices: Option<Path<String>>) -> String {
    indices.map_or_else(|| "_all".to_owned(), |Path(indices)| indices)
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

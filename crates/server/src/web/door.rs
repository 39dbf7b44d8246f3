//! Where every request enters: data plane below, everything else through axum. A panic costs one request.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body as WebBody;
use axum::extract::ConnectInfo;
use futures_util::FutureExt as _;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Either;
use hyper::body::{Body as _, Incoming};
use ipnet::IpNet;
use tollgate_domain::ids::RequestId;
use tollgate_domain::{ErrorKind, GatewayError, IdSource};
use tollgate_llm::reply::{Dialect, ErrorReply};
use tollgate_proxy::{Proxy, ProxyBody};
use tower::ServiceExt as _;

use crate::listeners::{ClientAddress, Door};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives ids to answers that have none yet.
#[derive(Clone)]
pub(crate) struct RequestIds(pub(crate) Arc<dyn IdSource>);

/// What stands behind one listener.
pub(crate) struct Doors {
    /// The data plane, where the listener serves it.
    pub(crate) proxy: Option<Proxy>,
    /// Everything else.
    pub(crate) web: Router,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) ids: RequestIds,
}

impl Door for Doors {
    type Body = Either<ProxyBody, WebBody>;

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Self::Body> {
        // HTTP/2 ends the stream by itself.
        let has_body = request.version() <= Version::HTTP_11 && !request.body().is_end_stream();
        let proxy = self
            .proxy
            .as_ref()
            .filter(|_| Proxy::handles(request.uri().path()));
        let answer = if let Some(proxy) = proxy {
            let work = AssertUnwindSafe(proxy.serve(request)).catch_unwind();
            work.await.map(|answer| answer.map(Either::Left))
        } else {
            let work = AssertUnwindSafe(self.serve_web(request, peer)).catch_unwind();
            work.await.map(|answer| answer.map(Either::Right))
        };
        // The panic itself was logged by the hook, with its place and without the request's content.
        let mut answer = answer.unwrap_or_else(|_| self.internal_error().map(Either::Right));
        if has_body && may_be_unread(answer.status()) {
            // What is left of the body stands in the way of the next request, so hyper ends the connection; a client
            // that is not told would send its next request into the void.
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        answer
    }
}

/// Whether answers of this status may be given before the body was read.
const fn may_be_unread(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 404 | 405 | 408 | 413 | 415 | 503)
}

impl Doors {
    async fn serve_web(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<WebBody> {
        let client = ClientAddress::find(peer.ip(), request.headers(), &self.trusted_proxies);
        let extensions = request.extensions_mut();
        extensions.insert(client);
        extensions.insert(ConnectInfo(SocketAddr::new(client.ip, peer.port())));
        let Ok(mut answer) = self.web.clone().oneshot(request.map(WebBody::new)).await;
        if !answer.headers().contains_key(REQUEST_ID)
            && let Ok(id) = HeaderValue::from_str(&self.ids.next())
        {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        answer
    }

    fn internal_error(&self) -> Response<WebBody> {
        let id = self.ids.next();
        let error = GatewayError::new(
            ErrorKind::InternalError,
            "a bug in the gateway stopped this request",
        );
        let body = ErrorReply::new(&error, &id).to_body(Dialect::OpenAi);
        let mut answer = Response::new(WebBody::from(body));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        let headers = answer.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        answer
    }
}

impl RequestIds {
    fn next(&self) -> String {
        RequestId::from_uuid(self.0.next_uuid()).to_string()
    }
}

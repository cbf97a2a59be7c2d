//! Serving over HTTP, at `/mcp`: who asks is known first, and all that a client can make large or slow has a bound.

mod requests;

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, combinators::BoxBody};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use rmcp::{
    ErrorData,
    model::{RequestId, ServerJsonRpcMessage},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService,
        session::local::{LocalSessionManager, SessionConfig},
    },
};
use supervisor_tools::Supervisor;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use self::requests::Requests;
use crate::{Access, McpServer, incoming};

const PATH: &str = "/mcp";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Connections that are open at once; others wait.
const MAX_CONNECTIONS: usize = 128;
/// Sessions of one owner.
const MAX_SESSIONS: usize = 256;
/// A session that nobody uses for so long is over.
const IDLE_SESSION: Duration = Duration::from_hours(1);
const MAX_BODY_BYTES: usize = 4 << 20;
/// How long a client may take to send its headers, and its body.
const MAX_SENDING: Duration = Duration::from_secs(30);
/// What answers on their way have to be sent once the server is to end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// What accepting a connection waits after it failed, as with no descriptors left.
const AFTER_A_FAULT: Duration = Duration::from_millis(100);

type Body = BoxBody<Bytes, Infallible>;

/// What one owner's clients talk to.
struct Service {
    mcp: StreamableHttpService<McpServer, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
    requests: Requests,
}

/// How to serve over HTTP.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Who may use the server.
    pub access: Access,
    /// Names in `Host` beside `localhost`, the loopback addresses and the address that is listened on; with a port or without.
    pub hosts: Vec<String>,
    /// Values of `Origin` that are let through; by default a request of a web page is refused.
    pub origins: Vec<String>,
}

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Others than the people at this machine could use it.
    #[error("{0} can be reached from other machines, so whoever uses it needs a token")]
    NeedsToken(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A server that listens, and serves once it is told to.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    options: HttpOptions,
}

impl HttpServer {
    /// Listens on `address`.
    ///
    /// # Errors
    /// [`HttpError::NeedsToken`] for an address that is not of this machine alone, unless tokens are asked for;
    /// [`HttpError::Bind`].
    pub async fn bind(address: SocketAddr, options: HttpOptions) -> Result<Self, HttpError> {
        if !address.ip().to_canonical().is_loopback()
            && matches!(options.access, Access::Anybody { .. })
        {
            return Err(HttpError::NeedsToken(address));
        }
        let cannot = |source| HttpError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self {
            listener,
            address,
            options,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a client on this machine finds it.
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
                SocketAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            });
        }
        format!("http://{address}{PATH}")
    }

    /// Serves until `stop` is cancelled; answers on their way have some seconds then.
    ///
    /// Each owner has sessions of its own: another one's token finds none of them. Workers go on: ending them is the
    /// caller's to do.
    pub async fn serve(self, supervisor: &Supervisor, stop: CancellationToken) {
        let owners = match &self.options.access {
            Access::Anybody { owner } => [&**owner].into(),
            Access::Tokens(tokens) => tokens.owners(),
        };
        let services = owners.into_iter().map(|owner| {
            let server = McpServer::new(supervisor.clone(), owner);
            (owner.to_owned(), self.service(server, &stop))
        });
        let site = Arc::new(Site {
            services: services.collect(),
            access: self.options.access.clone(),
        });
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                (self.listener.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let served = graceful.watch(connection(stream, Arc::clone(&site)));
                    tokio::spawn(async move {
                        if let Err(error) = served.await {
                            tracing::debug!(%error, "a connection broke off");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(AFTER_A_FAULT).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(LAST_ANSWERS, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some answers could not be sent before the end");
        }
    }

    fn service(&self, server: McpServer, stop: &CancellationToken) -> Service {
        let mut sessions = LocalSessionManager::default();
        let mut config = SessionConfig::default();
        config.keep_alive = Some(IDLE_SESSION);
        sessions.session_config = config;
        let mut hosts = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        if !self.address.ip().is_unspecified() {
            hosts.push(self.address.ip().to_string());
        }
        hosts.extend(self.options.hosts.iter().cloned());
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(hosts)
            .with_allowed_origins(self.options.origins.clone())
            .enforce_origin_validation()
            .with_max_request_body_bytes(MAX_BODY_BYTES)
            .with_cancellation_token(stop.child_token());
        let sessions = Arc::new(sessions);
        let mcp = StreamableHttpService::new(
            move || Ok(server.for_session()),
            Arc::clone(&sessions),
            config,
        );
        Service {
            mcp,
            sessions,
            requests: Requests::default(),
        }
    }
}

/// One connection, for as long as it lasts.
fn connection(
    stream: TcpStream,
    site: Arc<Site>,
) -> http1::Connection<
    TokioIo<TcpStream>,
    impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send,
    >,
> {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok(site.answer(request).await.unwrap_or_else(Refusal::response)) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_SENDING)
        .serve_connection(TokioIo::new(stream), service)
}

/// What all connections share.
struct Site {
    /// By owner.
    services: HashMap<String, Service>,
    access: Access,
}

/// Why a request goes no further.
enum Refusal {
    /// With a word on it.
    Plain(StatusCode, &'static str),
    /// Nobody knows who asks.
    NoToken,
    /// One more session would be too many.
    NoRoom,
    /// The protocol's own error for what is no message.
    NoMessage(Box<ServerJsonRpcMessage>),
    /// The answer to another request would pass for this one's.
    SameId,
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        if request.uri().path() != PATH {
            let text = "only /mcp is served here";
            return Err(Refusal::Plain(StatusCode::NOT_FOUND, text));
        }
        let owner = self.owner_of(request.headers()).ok_or(Refusal::NoToken)?;
        let service = self.services.get(owner).ok_or(Refusal::NoToken)?;
        let (mut head, body) = request.into_parts();
        // Nobody further on needs to know it.
        head.headers.remove(AUTHORIZATION);
        let mut request_in_flight = None;
        let body = if head.method == Method::POST {
            if !head.headers.contains_key(SESSION) {
                service.check_room().await?;
            }
            let body = whole(body).await?;
            let id = check(&body)?;
            if let (Some(id), Some(session)) = (id, head.headers.get(SESSION)) {
                request_in_flight = Some(service.requests.begin(session, id)?);
            }
            body
        } else {
            Bytes::new()
        };
        let is_goodbye = head.method == Method::DELETE;
        let request = Request::from_parts(head, Full::new(body));
        let mut response = service.mcp.handle(request).await;
        if is_goodbye && response.status() == StatusCode::ACCEPTED {
            // The session is over by now, and clients take "accepted" for a failure.
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        Ok(response.map(|body| match request_in_flight {
            Some(request) => request.until_answered(body),
            None => body,
        }))
    }

    /// Whose request it is, if anybody's.
    fn owner_of(&self, headers: &HeaderMap) -> Option<&str> {
        let tokens = match &self.access {
            Access::Anybody { owner } => return Some(owner),
            Access::Tokens(tokens) => tokens,
        };
        let mut given = headers.get_all(AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(one), None) => tokens.owner_of(bearer(one)?),
            _ => None,
        }
    }
}

impl Service {
    /// Refuses one more session where there are many.
    async fn check_room(&self) -> Result<(), Refusal> {
        if self.sessions.sessions.read().await.len() < MAX_SESSIONS {
            Ok(())
        } else {
            Err(Refusal::NoRoom)
        }
    }
}

impl Refusal {
    fn response(self) -> Response<Body> {
        let (status, text, header) = match self {
            Self::Plain(status, text) => (status, text, None),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "a token is needed: `Authorization: Bearer <token>`",
                Some((WWW_AUTHENTICATE, "Bearer")),
            ),
            Self::NoRoom => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many sessions are open; end some with DELETE",
                Some((RETRY_AFTER, "60")),
            ),
            Self::SameId => {
                let text = "a request with this id is being answered; give each its own";
                let error = ErrorData::invalid_request(text, None);
                let error = ServerJsonRpcMessage::error(error, None);
                return Self::NoMessage(Box::new(error)).response();
            }
            Self::NoMessage(error) => {
                let error = serde_json::to_vec(&error).unwrap_or_default();
                let json = Some((CONTENT_TYPE, "application/json"));
                return response(StatusCode::BAD_REQUEST, error.into(), json);
            }
        };
        response(status, Bytes::from_static(text.as_bytes()), header)
    }
}

fn response(
    status: StatusCode,
    body: Bytes,
    header: Option<(HeaderName, &'static str)>,
) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed());
    *response.status_mut() = status;
    if let Some((name, value)) = header {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// The whole body, unless it is too long, too slow or broken off.
async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    let too_long = (StatusCode::PAYLOAD_TOO_LARGE, "a message has at most 4 MiB");
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(Refusal::Plain(too_long.0, too_long.1)); // It says so itself.
    }
    let body = Limited::new(body, MAX_BODY_BYTES).collect();
    let (status, text) = match tokio::time::timeout(MAX_SENDING, body).await {
        Ok(Ok(body)) => return Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_long,
        Ok(Err(_)) => (StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body was too slow"),
    };
    Err(Refusal::Plain(status, text))
}

/// Refuses what is no message; of a request gives the id.
fn check(body: &[u8]) -> Result<Option<RequestId>, Refusal> {
    let (error, id) = match incoming::read(body) {
        Ok(message) => return Ok(message.into_request().map(|(_, id)| id)),
        Err(Some(refused)) => (refused.error, refused.id),
        Err(None) => (ErrorData::invalid_request("not a message", None), None),
    };
    let error = ServerJsonRpcMessage::error(error, id);
    Err(Refusal::NoMessage(Box::new(error)))
}

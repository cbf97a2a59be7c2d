//! Serving over standard input and output: one message a line, in bounded memory, whatever comes.

use std::{collections::HashSet, io, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServiceExt as _,
    model::{
        ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, GetMeta as _,
        JsonRpcMessage, ProtocolVersion, RequestId, ServerJsonRpcMessage,
    },
    transport::Transport,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    McpServer,
    incoming::{self, Refused},
    outbox::{Outbox, Waiting},
};

/// The longest line that is read, in bytes: the longest task, with all its characters escaped in the usual way, fits.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// Requests of a client that are answered at once.
const MAX_REQUESTS: usize = 1024;
/// How long the last lines may take to be written to a client that reads slowly.
const LAST_LINES: Duration = Duration::from_secs(2);
/// The protocol's range for what a server says of itself.
const TOO_MANY_REQUESTS: ErrorCode = ErrorCode(-32000);

/// Serves one client over standard input and output, until it closes the input or `stop` is cancelled.
///
/// Nothing but messages is written to standard output. Requests that came before the end of the input have some seconds to
/// be answered. Workers go on: ending them is the caller's to do.
pub async fn serve_stdio(server: McpServer, stop: CancellationToken) {
    let (reader, writer) = rmcp::transport::stdio_pipes();
    Box::pin(serve(server, reader, writer, stop)).await;
}

async fn serve(
    server: McpServer,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    stop: CancellationToken,
) {
    let lines = Lines::new(reader, writer, server.outbox.clone());
    let ended = match server.serve_with_ct(lines, stop).await {
        Ok(running) => running.waiting().await.map(drop),
        // It went away before it began, or was not wanted any more.
        Err(error) => {
            tracing::debug!(%error, "a client did not begin");
            return;
        }
    };
    if let Err(error) = ended {
        tracing::error!(%error, "serving a client was broken off");
    }
}

/// Messages as lines.
struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// The rest of a line that was too long is passed over.
    is_skipping: bool,
    /// Whether the client has said which protocol it speaks: only requests may come before.
    has_begun: bool,
    /// Requests that are being answered.
    requests: HashSet<RequestId>,
    outbox: Outbox,
    /// `None` once closed.
    to_write: Option<mpsc::UnboundedSender<ToWrite>>,
    writer: Option<JoinHandle<()>>,
    /// Cancelled once nothing can be written any more.
    is_broken: CancellationToken,
}

struct ToWrite {
    line: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
    _waiting: Waiting,
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl<R: AsyncRead + Send + Unpin> Lines<R> {
    fn new(reader: R, writer: impl AsyncWrite + Send + Unpin + 'static, outbox: Outbox) -> Self {
        // Unbounded, as what waits in it is counted by the outbox.
        let (to_write, lines) = mpsc::unbounded_channel();
        let is_broken = CancellationToken::new();
        Self {
            reader: BufReader::with_capacity(64 << 10, reader),
            line: Vec::new(),
            is_skipping: false,
            has_begun: false,
            requests: HashSet::new(),
            outbox,
            to_write: Some(to_write),
            writer: Some(tokio::spawn(write(writer, lines, is_broken.clone()))),
            is_broken,
        }
    }

    /// The next line; `None` at the end. A caller that stops waiting loses nothing.
    async fn next_line(&mut self) -> Option<Line> {
        loop {
            let available = self.reader.fill_buf().await.unwrap_or_else(|error| {
                tracing::error!(%error, "cannot read what a client sends");
                &[]
            });
            if available.is_empty() {
                // A last line may come without its end.
                let is_line = !self.line.is_empty();
                return is_line.then(|| Line::Whole(std::mem::take(&mut self.line)));
            }
            let end = available.iter().position(|it| *it == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            let is_too_long = !self.is_skipping && self.line.len() + part.len() > MAX_LINE_BYTES;
            if is_too_long {
                (self.line, self.is_skipping) = (Vec::new(), true);
            } else if !self.is_skipping {
                self.line.extend_from_slice(part);
            }
            let read = part.len() + usize::from(end.is_some());
            self.reader.consume(read);
            let was_skipping = self.is_skipping;
            self.is_skipping &= end.is_none();
            if is_too_long {
                return Some(Line::TooLong);
            }
            if end.is_some() && !was_skipping {
                return Some(Line::Whole(std::mem::take(&mut self.line)));
            }
        }
    }

    /// The message of a line, if it is for the server; what is wrong with it is answered here.
    fn message(&mut self, line: Line) -> Option<ClientJsonRpcMessage> {
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong => {
                let message = format!("a line has more than {MAX_LINE_BYTES} bytes");
                self.refuse(ErrorData::invalid_request(message, None), None);
                return None;
            }
        };
        if line.trim_ascii().is_empty() {
            return None;
        }
        match incoming::read(&line) {
            Ok(JsonRpcMessage::Request(request)) => {
                let id = &request.id;
                if self.requests.contains(id) {
                    // Without the id: with it, it would pass for the answer to the other one.
                    let message = "a request with this id is being answered; give each its own";
                    self.refuse(ErrorData::invalid_request(message, None), None);
                    return None;
                }
                if self.requests.len() >= MAX_REQUESTS {
                    let message = format!("more than {MAX_REQUESTS} requests at once");
                    let error = ErrorData::new(TOO_MANY_REQUESTS, message, None);
                    self.refuse(error, Some(id.clone()));
                    return None;
                }
                self.requests.insert(id.clone());
                self.has_begun |= begins(&request.request);
                Some(JsonRpcMessage::Request(request))
            }
            // The library gives up on a client that begins with anything else.
            Ok(_) if !self.has_begun => None,
            Ok(message) => {
                if let JsonRpcMessage::Notification(it) = &message
                    && let ClientNotification::CancelledNotification(it) = &it.notification
                    && let Some(id) = &it.params.request_id
                {
                    self.requests.remove(id); // It gets no answer.
                }
                Some(message)
            }
            Err(Some(Refused { error, id })) => {
                // The answer to another request may be on its way.
                let id = id.filter(|it| !self.requests.contains(it));
                self.refuse(error, id);
                None
            }
            Err(None) => None,
        }
    }

    fn refuse(&mut self, error: ErrorData, id: Option<RequestId>) {
        tracing::debug!(code = error.code.0, message = %error.message, "refused what a client sent");
        // Nobody waits for it to be written; a client that reads nothing is read no further.
        let _ = self.enqueue(&ServerJsonRpcMessage::error(error, id));
    }

    fn enqueue(
        &mut self,
        message: &ServerJsonRpcMessage,
    ) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let (written, answer) = oneshot::channel();
        let to_write = self.to_write.as_ref().ok_or_else(closed)?;
        let waiting = self.outbox.add(line.len());
        to_write
            .send(ToWrite {
                line,
                written,
                _waiting: waiting,
            })
            .map_err(|_| closed())?;
        Ok(answer)
    }
}

/// Whether the library takes this request for the beginning of a client's session.
fn begins(request: &ClientRequest) -> bool {
    let known = |it: ProtocolVersion| ProtocolVersion::KNOWN_VERSIONS.contains(&it);
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::DiscoverRequest(_) | ClientRequest::PingRequest(_) => false,
        other => {
            let meta = other.get_meta();
            let missing = meta.missing_required_keys(&ProtocolVersion::V_2026_07_28);
            missing.is_empty() && meta.protocol_version().is_some_and(known)
        }
    }
}

async fn write(
    mut writer: impl AsyncWrite + Send + Unpin,
    mut lines: mpsc::UnboundedReceiver<ToWrite>,
    is_broken: CancellationToken,
) {
    let _guard = is_broken.drop_guard();
    while let Some(next) = lines.recv().await {
        let written = async {
            writer.write_all(&next.line).await?;
            writer.flush().await
        };
        let written = written.await;
        let failed = written.is_err();
        // Whoever sent it may not wait any more.
        let _ = next.written.send(written);
        if failed {
            return;
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the client has gone")
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleServer> for Lines<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        match &message {
            JsonRpcMessage::Response(it) => drop(self.requests.remove(&it.id)),
            JsonRpcMessage::Error(it) => drop(it.id.as_ref().map(|it| self.requests.remove(it))),
            _ => {}
        }
        let written = self.enqueue(&message);
        async move { written?.await.unwrap_or_else(|_| Err(closed())) }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let (is_broken, outbox) = (self.is_broken.clone(), self.outbox.clone());
        loop {
            let line = async {
                outbox.room().await;
                self.next_line().await
            };
            let line = tokio::select! {
                biased;
                () = is_broken.cancelled() => return None,
                line = line => line?,
            };
            if let Some(message) = self.message(line) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        drop(self.to_write.take());
        if let Some(mut writer) = self.writer.take()
            && tokio::time::timeout(LAST_LINES, &mut writer).await.is_err()
        {
            writer.abort();
        }
        Ok(())
    }
}

//! The server: reads requests, asks the test what to do, does it.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    sync::oneshot,
};

use crate::answer::{Answer, Part};

/// A request as it came, and when.
#[derive(Debug, Clone)]
pub struct Received {
    /// How many came before it.
    pub number: usize,
    /// The connection it came on, by its number.
    pub connection: usize,
    /// Its path, with the query.
    pub path: String,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
    /// When it had been read.
    pub began: Instant,
    /// When its answer had been written; `None` while it is not, or if the client went away.
    pub ended: Option<Instant>,
}

impl Received {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(it, value)| (it == name).then_some(&**value))
    }
}

type Script = dyn Fn(&Received) -> Answer + Send + Sync;
type Log = Arc<Mutex<Vec<Received>>>;

/// A running server; it ends when it is dropped.
pub struct StubServer {
    address: SocketAddr,
    log: Log,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StubServer {
    /// A server that does with each request what `script` says.
    pub fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let log = Log::default();
        let (script, for_thread): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&log));
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = serve(listener, script, for_thread) => {}
                }
            });
        });
        Ok(Self {
            address,
            log,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// A server that gives these answers one after the other, and HTTP 500 when there are no more.
    pub fn scripted(answers: impl IntoIterator<Item = Answer>) -> io::Result<Self> {
        let answers: Vec<_> = answers.into_iter().collect();
        Self::start(move |request| match answers.get(request.number) {
            Some(answer) => answer.clone(),
            None => Answer::response(500, &[], "the script is over"),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL of its models.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it was asked so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.log).clone()
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for StubServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StubServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn lock(log: &Log) -> std::sync::MutexGuard<'_, Vec<Received>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: std::net::TcpListener, script: Arc<Script>, log: Log) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    for number in 0.. {
        let (stream, _) = listener.accept().await?;
        // A client that goes away is what many tests are about.
        tokio::spawn(connection(
            stream,
            number,
            Arc::clone(&script),
            Arc::clone(&log),
        ));
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    number: usize,
    script: Arc<Script>,
    log: Log,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(mut request) = read(&mut reader).await? {
        {
            let mut log = lock(&log);
            (request.number, request.connection) = (log.len(), number);
            log.push(request.clone());
        }
        let answer = script(&request);
        let gone = async {
            // More bytes are a pipelined request, which no client here sends; the end is the client's.
            let mut byte = [0];
            reader.read(&mut byte).await
        };
        tokio::select! {
            written = write(&mut writer, &answer.parts) => written?,
            _ = gone => return Ok(()),
        }
        if let Some(it) = lock(&log).get_mut(request.number) {
            it.ended = Some(Instant::now());
        }
        if answer.closes {
            return writer.shutdown().await;
        }
    }
    Ok(())
}

/// The next request of a connection; `None` at its end.
async fn read(reader: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<Received>> {
    let mut line = String::new();
    if reader.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    Ok(Some(Received {
        number: 0,
        connection: 0,
        path,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        began: Instant::now(),
        ended: None,
    }))
}

async fn write(writer: &mut OwnedWriteHalf, parts: &[Part]) -> io::Result<()> {
    for part in parts {
        match part {
            Part::Bytes(bytes) => writer.write_all(bytes).await?,
            Part::Pause(pause) => tokio::time::sleep(*pause).await,
            Part::Wait(go) => go.notified().await,
            Part::Flood(bytes) => loop {
                writer.write_all(bytes).await?;
            },
            Part::Hang => std::future::pending().await,
        }
    }
    Ok(())
}

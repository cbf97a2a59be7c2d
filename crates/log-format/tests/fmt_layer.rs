//! The format inside a stock `fmt` layer.
#![cfg(feature = "fmt")]

use std::io;
use std::sync::{Arc, Mutex};

use log_format::LogFormat;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_fmt_layer_prints_our_line() {
    let out = Shared::default();
    let for_layer = out.clone();
    let layer = fmt::layer()
        .event_format(LogFormat::new().with_worker_id(|| Some("w-1")))
        .with_writer(move || for_layer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let _span = tracing::info_span!("span", field = "\u{1b}[31m").entered();
        tracing::info!(target: "t", a = "b c", "hi");
    });
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert_eq!(&text[20..], "INFO hi a=\"b c\" worker_id=w-1 target=t\n");
}

//! Who may be asked, tried with names that change their minds, odd spellings and all addresses there are.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::prelude::*;
use serde_json::json;
use worker_runner::{Tool, ToolError};

use super::{
    AllowedHost, HttpRequest, HttpRequestOptions,
    address::{Kind, kind},
    client::Clients,
    exchange, request,
    resolver::Lookup,
    tests::{Server, answer},
};

/// A resolver that gives one answer after the other, the last one for ever; and how often it was asked.
fn changing(answers: Vec<Vec<IpAddr>>) -> (Lookup, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let addresses: Vec<_> = answers[n]
            .iter()
            .map(|it| SocketAddr::new(*it, 0))
            .collect();
        Box::pin(async move { Ok(addresses) })
    });
    (lookup, asked)
}

fn tool(options: HttpRequestOptions, lookup: Lookup) -> HttpRequest {
    HttpRequest {
        lookup,
        ..HttpRequest::new(options)
    }
}

fn allowing(hosts: &[&str]) -> HttpRequestOptions {
    HttpRequestOptions {
        allow_hosts: hosts.iter().map(|it| it.parse().unwrap()).collect(),
        ..HttpRequestOptions::default()
    }
}

#[track_caller]
fn refused(res: Result<String, ToolError>) -> String {
    match res.unwrap_err() {
        ToolError::Validation(text) => text,
        other => panic!("not refused by a rule: {other}"),
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn every_spelling_of_an_inner_address_is_refused_before_anything_is_sent() {
    let mut server = Server::answering(vec![answer("200 OK", "", "reached")]).await;
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.1.",
        "1２7.0.0.1",
        "127.9.9.9",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fc00::1]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
        "user:secret@127.0.0.1",
        "localhost",
    ] {
        let url = format!("http://{host}:{port}/?token=secret");
        let text = refused(HttpRequest::default().call(json!({"url": url})).await);
        assert!(text.contains("may not be asked"), "{host}: {text}");
        assert!(text.contains("--allow-host "), "{host}: {text}");
        assert!(!text.contains("secret"), "{host}: {text}");
    }
    assert!(server.requests.try_recv().is_err());
}

#[tokio::test]
async fn the_error_says_how_to_allow_what_was_refused() {
    let call = async |url: &str| refused(HttpRequest::default().call(json!({"url": url})).await);
    assert_eq!(
        call("http://0x7f.1:8080/").await,
        "127.0.0.1 is a loopback address, which may not be asked; allow it with `--allow-host \
         127.0.0.1:8080` (or all private addresses with `--allow-private-addresses`), in Rust with \
         `HttpRequestOptions`"
    );
    assert_eq!(
        call("http://[::ffff:169.254.169.254]/").await,
        "::ffff:169.254.169.254 is an address where a cloud keeps credentials, which may not be \
         asked; allow it with `--allow-host [::ffff:a9fe:a9fe]:80`, in Rust with `HttpRequestOptions`"
    );
    let (lookup, _) = changing(vec![vec!["10.1.2.3".parse().unwrap()]]);
    let tool = tool(HttpRequestOptions::default(), lookup);
    assert_eq!(
        refused(tool.call(json!({"url": "https://db.example/"})).await),
        "db.example: 10.1.2.3 is an address of a private network, which may not be asked; allow it \
         with `--allow-host db.example:443` (or all private addresses with \
         `--allow-private-addresses`), in Rust with `HttpRequestOptions`"
    );
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_checked_is_connected_to() {
    let mut server = Server::answering(vec![answer("200 OK", "", "reached")]).await;
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    let metadata: IpAddr = "169.254.169.254".parse().unwrap();
    let (lookup, asked) = changing(vec![vec![LOOPBACK], vec![metadata]]);
    let options = HttpRequestOptions {
        allow_private_addresses: true,
        ..HttpRequestOptions::default()
    };
    let tool = tool(options, lookup);
    let url = format!("http://rebind.example:{port}/");
    // Whoever checked one answer and connected to the next would not arrive here.
    let text = tool.call(json!({"url": url})).await.unwrap();
    assert_eq!(text, "HTTP 200 OK\n\nreached");
    assert!(server.requests.recv().await.is_some());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let text = refused(tool.call(json!({"url": url})).await);
    assert!(text.contains("169.254.169.254"), "{text}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn of_a_names_addresses_only_the_permitted_are_connected_to() {
    let mut server = Server::answering(vec![answer("200 OK", "", "reached")]).await;
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    let link_local: IpAddr = "169.254.1.1".parse().unwrap();
    let (lookup, _) = changing(vec![vec![link_local, LOOPBACK], vec![link_local]]);
    let options = HttpRequestOptions {
        allow_private_addresses: true,
        ..HttpRequestOptions::default()
    };
    let tool = tool(options, lookup);
    let arguments = json!({"url": format!("http://mixed.example:{port}/")});
    let text = tool.call(arguments.clone()).await.unwrap();
    assert_eq!(text, "HTTP 200 OK\n\nreached");
    assert!(server.requests.recv().await.is_some());
    let text = refused(tool.call(arguments).await);
    assert!(
        text.contains("169.254.1.1 is a link-local address"),
        "{text}"
    );
    assert!(!text.contains("--allow-private-addresses"), "{text}");
}

#[tokio::test]
async fn a_redirect_is_under_the_same_rule() {
    let inner = Server::answering(vec![answer("200 OK", "", "inner")]).await;
    let to = |url: &str| answer("302 Found", &format!("location: {url}\r\n"), "");
    let literal = to(&inner.url("/"));
    let (_, inner_port) = inner.address.rsplit_once(':').unwrap();
    let named = to(&format!("http://inner.example:{inner_port}/"));
    let protocol_relative = to(&format!("//0x7f.1:{inner_port}/"));
    let mut inner = inner;
    for hop in [literal, named, protocol_relative] {
        let outer = Server::answering(vec![hop]).await;
        let (lookup, _) = changing(vec![vec![LOOPBACK]]);
        let tool = tool(allowing(&[&outer.address]), lookup);
        let text = refused(tool.call(json!({"url": outer.url("/")})).await);
        assert!(text.contains("127.0.0.1 is a loopback address"), "{text}");
    }
    assert!(inner.requests.try_recv().is_err());

    // Where both are allowed it is followed.
    let outer = Server::answering(vec![to(&inner.url("/x"))]).await;
    let (lookup, _) = changing(vec![vec![LOOPBACK]]);
    let tool = tool(allowing(&[&outer.address, &inner.address]), lookup);
    let text = tool.call(json!({"url": outer.url("/")})).await.unwrap();
    assert_eq!(text, "HTTP 200 OK\n\ninner");
    assert!(inner.requests.recv().await.unwrap().starts_with("GET /x "));
}

#[tokio::test]
async fn no_secret_goes_along_to_another_origin() {
    let secrets = json!({
        "Authorization": "Bearer secret", "Cookie": "secret", "X-Api-Key": "secret",
        "Proxy-Authorization": "secret", "Accept": "text/plain", "Content-Type": "text/plain",
    });
    let mut other = Server::answering(vec![answer("200 OK", "", "other"); 2]).await;
    let there = format!("location: {}\r\n", other.url("/there"));
    let mut first = Server::answering(vec![
        answer("307 Temporary Redirect", "location: /again\r\n", ""),
        answer("307 Temporary Redirect", &there, ""),
        answer("303 See Other", &there, ""),
    ])
    .await;
    let tool = HttpRequest::new(allowing(&["127.0.0.1"]));
    let url = first.url("/").replace("http://", "http://user:secret@");
    for _ in 0..2 {
        let arguments = json!({"url": url, "method": "POST", "body": "hello", "headers": secrets});
        let text = tool.call(arguments).await.unwrap();
        assert_eq!(text, "HTTP 200 OK\n\nother");
    }
    let mut sent = Vec::new();
    while let Ok(request) = first.requests.try_recv() {
        sent.push(request);
    }
    // The same origin gets all again, the method and the body too.
    assert_eq!(sent.len(), 3);
    for request in &sent[..2] {
        assert!(request.starts_with("POST /"), "{request}");
        assert!(request.contains("x-api-key: secret"), "{request}");
        assert!(request.ends_with("hello"), "{request}");
    }
    let kept = other.requests.recv().await.unwrap();
    assert!(kept.starts_with("POST /there "), "{kept}");
    assert!(
        kept.contains("accept: text/plain\r\n") && kept.ends_with("\r\n\r\nhello"),
        "{kept}"
    );
    let changed = other.requests.recv().await.unwrap();
    assert!(changed.starts_with("GET /there "), "{changed}");
    assert!(
        !changed.contains("content-type") && !changed.contains("hello"),
        "{changed}"
    );
    for request in [kept, changed] {
        let request = request.to_lowercase();
        assert!(!request.contains("secret"), "{request}");
        assert!(
            !request.contains("authorization") && !request.contains("cookie"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn an_allowed_host_allows_no_other_port_or_name() {
    let server = Server::answering(vec![answer("200 OK", "", "reached")]).await;
    let (_, port) = server.address.rsplit_once(':').unwrap();
    let options = allowing(&[&format!("named.example:{port}"), "other.example:1"]);
    let (lookup, _) = changing(vec![vec![LOOPBACK]]);
    let tool = tool(options, lookup);
    for url in [
        format!("http://named.example:1{}/", &port[1..]),
        format!("http://other.example:{port}/"),
        format!("http://sub.named.example:{port}/"),
        format!("http://127.0.0.1:{port}/"),
    ] {
        refused(tool.call(json!({"url": url})).await);
    }
    let url = format!("http://NAMED.example.:{port}/");
    let text = tool.call(json!({"url": url})).await.unwrap();
    assert_eq!(text, "HTTP 200 OK\n\nreached");
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_no_way_round() {
    let mut proxy = Server::answering(vec![answer("200 OK", "", "by proxy")]).await;
    let variable = |name: &str| name.ends_with("_PROXY").then(|| proxy.url(""));
    // Loopback, as a proxy must not be asked for this machine's own; and link-local, which it could be.
    let (lookup, _) = changing(vec![vec![LOOPBACK]]);
    for environment_proxy in [false, true] {
        let options = HttpRequestOptions {
            environment_proxy,
            ..HttpRequestOptions::default()
        };
        let clients = Clients::new(&options, &lookup, variable).unwrap();
        let mut urls = vec![
            "http://127.0.0.1/",
            "http://localhost/",
            "http://169.254.169.254/",
        ];
        if !environment_proxy {
            urls.push("http://inner.example/");
        }
        for url in urls {
            let request = request::parse(json!({"url": url})).unwrap();
            refused(exchange::exchange(&clients, request, &options).await);
        }
    }
    assert!(proxy.requests.try_recv().is_err());
}

#[test]
fn hosts_are_read_as_urls_spell_them() {
    for (text, read) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("0x7f.1:80", "127.0.0.1:80"),
        ("DB.Internal.", "db.internal"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("[::1]:443", "[::1]:443"),
        ("bücher.example", "xn--bcher-kva.example"),
    ] {
        let host: AllowedHost = text.parse().unwrap();
        assert_eq!(host.to_string(), read, "{text}");
        assert_eq!(host.to_string().parse(), Ok(host), "{text}");
    }
    for text in [
        "", ":80", "a:0", "a:65536", "a:b", "http://a", "a/b", "u@a", "a b", "[::1", "::g", "%41",
        "a#b", "a\n", ".", "..", ".:80",
    ] {
        assert!(text.parse::<AllowedHost>().is_err(), "{text}");
    }
}

#[test]
fn public_addresses_are_public() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "169.253.255.255",
        "192.0.1.0",
        "198.17.255.255",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ] {
        assert_eq!(kind(address.parse().unwrap()), None, "{address}");
    }
    for (address, expected) in [
        ("2001::1", Kind::Reserved),
        ("2001:db8::1", Kind::Reserved),
        ("64:ff9b:1::1", Kind::Reserved),
        ("::8.8.8.8", Kind::Reserved),
        ("100::1", Kind::Reserved),
        ("fec0::1", Kind::Private),
        ("64:ff9b::a9fe:a9fe", Kind::Metadata),
        ("168.63.129.16", Kind::Metadata),
        ("100.100.100.200", Kind::Metadata),
        ("fd20:ce::254", Kind::Metadata),
        ("0.1.2.3", Kind::Unspecified),
    ] {
        assert_eq!(kind(address.parse().unwrap()), Some(expected), "{address}");
    }
}

proptest! {
    /// The standard library's own words for what is not public, as far as it has them.
    #[test]
    fn nothing_that_the_standard_library_calls_inner_is_public(bits: u32) {
        let address = Ipv4Addr::from(bits);
        let inner = address.is_loopback() || address.is_private() || address.is_link_local()
            || address.is_multicast() || address.is_unspecified() || address.is_broadcast()
            || address.is_documentation();
        let found = kind(address.into());
        prop_assert!(!inner || found.is_some());
        for spelled in [
            address.to_ipv6_mapped(),
            Ipv6Addr::from(0x0064_ff9b_0000_0000_0000_0000_0000_0000 | u128::from(bits)),
            Ipv6Addr::from(0x2002_u128 << 112 | u128::from(bits) << 80),
        ] {
            prop_assert_eq!(kind(spelled.into()), found, "{}", spelled);
        }
    }

    #[test]
    fn only_global_unicast_is_public(bits: u128) {
        let address = Ipv6Addr::from(bits);
        let is_global_unicast = bits >> 125 == 1;
        let is_embedded = address.to_ipv4_mapped().is_some() || bits >> 32 == 0x0064_ff9b << 64;
        prop_assert!(kind(address.into()).is_some() || is_global_unicast || is_embedded);
        let inner = address.is_loopback() || address.is_unspecified() || address.is_multicast()
            || address.is_unique_local() || address.is_unicast_link_local();
        prop_assert!(!inner || kind(address.into()).is_some());
    }

    #[test]
    fn any_text_is_a_host_or_an_error(text in ".*") {
        if let Ok(host) = text.parse::<AllowedHost>() {
            prop_assert_eq!(host.to_string().parse(), Ok(host));
        }
    }
}

//! Where a model is asked, and what to call whoever serves it.

use reqwest::Url;

use crate::options::{Protocol, SetupError};

/// Providers by the end of their hosts' names.
const PROVIDERS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("openrouter.ai", "openrouter"),
    ("azure.com", "azure"),
];

/// A server's address.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// Where calls are posted.
    pub(crate) url: Url,
    /// Host and, if it is not the usual one, port: all of the URL that is shown.
    pub(crate) shown: String,
    /// A known provider's name, else what is shown.
    pub(crate) provider: String,
}

impl Address {
    pub(crate) fn new(protocol: Protocol, base_url: Option<&str>) -> Result<Self, SetupError> {
        let text = base_url.unwrap_or(protocol.default_base_url()).trim();
        let bad = |reason: &str| SetupError::BadBaseUrl {
            url: harmless(text),
            reason: reason.to_owned(),
        };
        let mut url = Url::parse(text).map_err(|it| bad(&it.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it begins with neither http:// nor https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "it holds a name or a password; put the key into a variable",
            ));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let shown = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        let path = match url.path().trim_end_matches('/') {
            "" => "/v1",
            path => path,
        };
        let end = match protocol {
            Protocol::OpenAi => "/chat/completions",
            Protocol::Anthropic => "/messages",
        };
        let path = format!("{}{end}", path.strip_suffix(end).unwrap_or(path));
        url.set_path(&path);
        url.set_fragment(None);
        let is_at = |end: &str| host == end || host.ends_with(&format!(".{end}"));
        let provider = PROVIDERS.iter().find(|(end, _)| is_at(end));
        let provider = provider.map_or_else(|| shown.clone(), |(_, name)| (*name).to_owned());
        Ok(Self {
            url,
            shown,
            provider,
        })
    }

    /// Whether it is this machine, which no proxy finds.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse()
                .is_ok_and(|it: std::net::IpAddr| it.is_loopback())
    }

    /// Whether what is sent there can be read on the way.
    pub(crate) fn is_in_clear(&self) -> bool {
        self.url.scheme() == "http" && !self.is_loopback()
    }
}

/// A URL that is wrong, without what may be a password in it.
fn harmless(text: &str) -> String {
    let end = text.find('?').unwrap_or(text.len());
    let text = &text[..end];
    let start = text.rfind('@').map_or(0, |at| at + 1);
    let text: String = text[start..].chars().take(100).collect();
    if start > 0 {
        format!("…@{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use crate::options::Protocol;

    #[test]
    fn a_base_url_is_where_the_usual_clients_expect_it() {
        for (protocol, base, url, provider) in [
            (
                Protocol::OpenAi,
                None,
                "https://api.openai.com/v1/chat/completions",
                "openai",
            ),
            (
                Protocol::Anthropic,
                None,
                "https://api.anthropic.com/v1/messages",
                "anthropic",
            ),
            (
                Protocol::OpenAi,
                Some("http://localhost:11434"),
                "http://localhost:11434/v1/chat/completions",
                "localhost:11434",
            ),
            (
                Protocol::OpenAi,
                Some("https://openrouter.ai/api/v1/"),
                "https://openrouter.ai/api/v1/chat/completions",
                "openrouter",
            ),
            (
                Protocol::OpenAi,
                Some("https://r.openai.azure.com/openai/deployments/d?api-version=2024-10-21"),
                "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
                "azure",
            ),
            (
                Protocol::Anthropic,
                Some("https://proxy.example/anthropic/v1/messages"),
                "https://proxy.example/anthropic/v1/messages",
                "proxy.example",
            ),
            (
                Protocol::OpenAi,
                Some("https://notopenrouter.ai/v1"),
                "https://notopenrouter.ai/v1/chat/completions",
                "notopenrouter.ai",
            ),
        ] {
            let address = Address::new(protocol, base).unwrap();
            assert_eq!((address.url.as_str(), &*address.provider), (url, provider));
        }
    }

    #[test]
    fn what_is_no_base_url_is_said_without_its_secrets() {
        for base in [
            "",
            "localhost:8080",
            "ftp://host/v1",
            "https://me:pass-1234@host/v1",
            "me:pass-1234@host/v1",
            "http://",
            "not a url?key=pass-1234",
        ] {
            let error = Address::new(Protocol::OpenAi, Some(base)).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("is no base URL") && !text.contains("pass-1234"),
                "{text}"
            );
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (base, is_loopback, in_clear) in [
            ("http://127.0.0.1:1/v1", true, false),
            ("http://[::1]:1/v1", true, false),
            ("http://localhost/v1", true, false),
            ("http://127.evil.example/v1", false, true),
            ("https://host/v1", false, false),
        ] {
            let address = Address::new(Protocol::OpenAi, Some(base)).unwrap();
            assert_eq!(
                (address.is_loopback(), address.is_in_clear()),
                (is_loopback, in_clear),
                "{base}"
            );
        }
    }
}

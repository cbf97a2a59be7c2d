//! The redactor: what it knows, and a text on its way through it.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    sync::{Arc, LazyLock, OnceLock},
};

use crate::{
    base64,
    keys::{self, Kind, squashed},
    scan::{Anchors, Scan, Span},
    shapes::{Body, Shape},
    stream::Stream,
};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Takes secrets out of texts. Cheap to clone.
#[derive(Clone)]
pub struct Redactor(Arc<Inner>);

pub(crate) struct Inner {
    is_off: bool,
    pub(crate) own: Own,
    /// Made when the first text comes: many processes have none.
    anchors: OnceLock<Anchors>,
}

/// What is known beyond what everybody knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    /// In small letters, without separators.
    pub(crate) keys: Vec<String>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) values: Vec<String>,
}

/// Adds to what a [`Redactor`] knows.
#[derive(Debug, Clone, Default)]
pub struct RedactorBuilder(Own);

impl Redactor {
    /// Knows the usual names and shapes.
    pub fn new() -> Self {
        static USUAL: LazyLock<Redactor> = LazyLock::new(|| Redactor::builder().build());
        USUAL.clone()
    }

    /// Leaves every text as it is: **what is written then holds every secret that an agent, a tool or a model was given**.
    pub fn off() -> Self {
        Self(Arc::new(Inner {
            is_off: true,
            own: Own::default(),
            anchors: OnceLock::new(),
        }))
    }

    /// A redactor that knows more.
    pub fn builder() -> RedactorBuilder {
        RedactorBuilder::default()
    }

    /// The text with [`REDACTED`] in place of each secret.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Secrets begin and end at ASCII characters, so this is never lossy.
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Cow::Owned(text),
                Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            },
        }
    }

    /// The same for text that may not be UTF-8 everywhere.
    pub fn bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let spans = self.spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut res = Vec::with_capacity(text.len());
        let mut done = 0;
        for span in &spans {
            res.extend_from_slice(&text[done..span.start]);
            span.write(text, &mut res);
            done = span.end;
        }
        res.extend_from_slice(&text[done..]);
        Cow::Owned(res)
    }

    /// The same for text of any length, piece by piece.
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    /// Whether what stands under this name is a secret: `password`, `X-Api-Key`, `authorization`.
    pub fn is_secret_key(&self, name: &str) -> bool {
        !self.0.is_off
            && !matches!(
                keys::kind(name.as_bytes(), &self.0.own.keys),
                None | Some(Kind::Base64 | Kind::Signature)
            )
    }

    /// Whether this is a command's option whose value is the next argument and a secret: `--password`.
    pub fn is_secret_option(&self, argument: &str) -> bool {
        let name = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-'));
        name.is_some_and(|it| !it.contains(['=', ' ']) && self.is_secret_key(it))
    }

    /// Whether it does nothing.
    pub fn is_off(&self) -> bool {
        self.0.is_off
    }

    pub(crate) fn spans(&self, text: &[u8]) -> Vec<Span> {
        if self.0.is_off {
            return Vec::new();
        }
        let anchors = self.0.anchors.get_or_init(|| Anchors::new(&self.0.own));
        Scan::new(text, anchors, &self.0.own).run()
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what it knows: that may be secrets.
        f.debug_struct("Redactor")
            .field("is_off", &self.0.is_off)
            .finish_non_exhaustive()
    }
}

impl RedactorBuilder {
    /// What stands under a name that ends in `name` is a secret; case and separators count for nothing.
    #[must_use]
    pub fn key(mut self, name: &str) -> Self {
        let name = squashed(name.as_bytes());
        if !name.is_empty() {
            self.0.keys.push(name);
        }
        self
    }

    /// Whatever begins with `prefix` and goes on with `min` or more letters, digits, `-` and `_` is a secret.
    #[must_use]
    pub fn prefix(mut self, prefix: &str, min: usize) -> Self {
        if !prefix.is_empty() {
            self.0.shapes.push(Shape {
                prefix: prefix.to_owned(),
                body: Body::Dashed,
                min,
                is_exact: false,
                keeps_prefix: false,
            });
        }
        self
    }

    /// This very text is a secret wherever it stands, also with JSON's or a URL's escapes, or in base64. One of less than
    /// eight characters is ignored: it would be found in what has nothing to do with it.
    #[must_use]
    pub fn value(mut self, secret: &str) -> Self {
        const SHORTEST: usize = 8;
        if secret.len() < SHORTEST {
            return self;
        }
        let escaped = secret
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let forms = [secret.to_owned(), escaped, percent_encoded(secret)];
        for form in forms.into_iter().chain(base64::inside(secret.as_bytes())) {
            if !self.0.values.contains(&form) {
                self.0.values.push(form);
            }
        }
        self
    }

    /// The values of those variables whose names say that they are secrets, such as `DB_PASSWORD`. One that could be a
    /// word or a path is left out.
    #[must_use]
    pub fn environment<K: AsRef<str>, V: AsRef<str>>(
        self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        variables.into_iter().fold(self, |this, (name, value)| {
            let (name, value) = (name.as_ref(), value.as_ref());
            let is_named = keys::kind(name.as_bytes(), &this.0.keys)
                .is_some_and(|it| !matches!(it, Kind::Base64 | Kind::Signature));
            let is_word = value
                .bytes()
                .all(|it| it.is_ascii_lowercase() || it == b'_' || it == b'-');
            if is_named && !is_word && !value.starts_with(['/', '.', '~']) {
                this.value(value)
            } else {
                this
            }
        })
    }

    /// The redactor.
    pub fn build(self) -> Redactor {
        Redactor(Arc::new(Inner {
            is_off: false,
            own: self.0,
            anchors: OnceLock::new(),
        }))
    }
}

fn percent_encoded(text: &str) -> String {
    let mut res = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            res.push(char::from(byte));
        } else {
            let _ = write!(res, "%{byte:02X}"); // A String takes everything.
        }
    }
    res
}

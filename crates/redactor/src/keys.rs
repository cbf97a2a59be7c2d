//! Names, and whether what stands under them is a secret.

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A secret, whatever it looks like.
    Secret,
    /// A secret if it looks like one: `token` is also a word of parsers and of models.
    Token,
    /// `Authorization`: a scheme and what proves it.
    Authorization,
    /// `Cookie`, `Set-Cookie`: the rest of the line.
    Cookie,
    /// `auth` of a registry's settings: the base64 of user and password.
    Base64,
    /// Only in a URL's query.
    Signature,
}

/// Parts of names that are worth a look, in any case of letters.
pub(crate) const STEMS: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "authorization",
    "cookie",
    "jwt",
    "auth\"",
    "_auth",
    "signature",
    "sig=",
    "sessionid",
    "session_id",
    "session-id",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "accountkey",
    "account_key",
    "account-key",
    "privatekey",
    "private_key",
    "private-key",
    "signingkey",
    "signing_key",
    "signing-key",
    "encryptionkey",
    "encryption_key",
    "encryption-key",
    "masterkey",
    "master_key",
    "master-key",
    "authkey",
    "auth_key",
    "auth-key",
    "sessionkey",
    "session_key",
    "session-key",
];

/// A name ends in one of these, its separators left out: the last words of a name say what it is.
const SECRET: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "secretkey",
    "secretaccesskey",
    "secretkeybase",
    "privatekey",
    "apikey",
    "apikeys",
    "accesskey",
    "accountkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "authkey",
    "sessionkey",
];
const TOKEN: &[&str] = &["token", "jwt", "sessionid"];
/// `pass` alone is a word of test reports.
const PASS: &[&str] = &[
    "dbpass",
    "userpass",
    "smtppass",
    "mailpass",
    "emailpass",
    "ftppass",
    "adminpass",
    "rootpass",
    "mysqlpass",
    "pgpass",
    "redispass",
    "mongopass",
    "authpass",
    "httppass",
    "loginpass",
    "sshpass",
    "ldappass",
    "proxypass",
];
/// Tokens of models, of parsers, of lists.
const NO_TOKEN: &[&str] = &[
    "max",
    "min",
    "num",
    "per",
    "page",
    "next",
    "prev",
    "continuation",
    "prompt",
    "completion",
    "total",
    "eos",
    "bos",
    "pad",
    "unk",
    "sep",
    "cls",
    "mask",
    "stop",
    "start",
    "end",
    "special",
    "first",
    "last",
    "cancellation",
    "input",
    "output",
    "invalid",
    "unexpected",
    "expected",
    "sync",
];

/// What stands under `name`, such as `DB_PASSWORD`, `x-api-key` or `clientSecret`.
pub(crate) fn kind(name: &[u8], own: &[String]) -> Option<Kind> {
    let plain = squashed(name);
    let plain = plain.trim_end_matches(|it: char| it.is_ascii_digit());
    let ends = |with: &[&str]| with.iter().any(|it| plain.ends_with(it));
    if own.iter().any(|it| plain.ends_with(it.as_str())) {
        return Some(Kind::Secret);
    }
    if ends(SECRET) || ends(PASS) {
        return Some(Kind::Secret);
    }
    if plain.ends_with("authorization") {
        return Some(Kind::Authorization);
    }
    if plain.ends_with("cookie") {
        return Some(Kind::Cookie);
    }
    if plain == "auth" {
        return Some(Kind::Base64);
    }
    if ends(TOKEN) {
        let before = plain.strip_suffix("token").unwrap_or_default();
        let is_other = NO_TOKEN.iter().any(|it| before.ends_with(it));
        return (!is_other).then_some(Kind::Token);
    }
    (plain == "sig" || plain.ends_with("signature")).then_some(Kind::Signature)
}

/// In small letters, without separators.
pub(crate) fn squashed(name: &[u8]) -> String {
    name.iter()
        .filter(|it| it.is_ascii_alphanumeric())
        .map(|it| char::from(it.to_ascii_lowercase()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn the_last_words_of_a_name_say_what_it_is() {
        for (names, expected) in [
            (
                "password DB_PASSWORD dbPassword pgpassword passwd client_secret clientSecret SECRET_KEY api_key \
                 X-Api-Key apikey OPENAI_API_KEY aws_secret_access_key AccountKey private_key smtp_pass password2",
                Some(Kind::Secret),
            ),
            (
                "token access_token accessToken GITHUB_TOKEN id-token jwt session_id",
                Some(Kind::Token),
            ),
            (
                "Authorization proxy-authorization",
                Some(Kind::Authorization),
            ),
            ("Cookie set-cookie", Some(Kind::Cookie)),
            (
                "tokens max_tokens token_count max_token eos_token next_page_token password_file secret_name \
                 api_key_env key keyboard pass first_pass passed compass secretary tokenizer token_type cookies_enabled",
                None,
            ),
        ] {
            for name in names.split_whitespace() {
                assert_eq!(kind(name.as_bytes(), &[]), expected, "{name}");
            }
        }
        assert_eq!(
            kind(b"acme-thing", &["acmething".to_owned()]),
            Some(Kind::Secret)
        );
    }
}

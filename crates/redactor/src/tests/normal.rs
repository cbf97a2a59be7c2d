//! What is no secret stays, byte for byte.

use std::{fs, path::Path};

use super::{secrets::random, written};

const TEXTS: &[&str] = &[
    "the token is invalid; the secret of a good password is its length",
    "Error: unexpected token: expected `,` or `}`, found `]` at line 3",
    "error: unexpected token: identifier",
    "invalid token: 0x1f at offset 12",
    "max_tokens: 100, tokens: 5, token_count=12, prompt_tokens=1234 completion_tokens=89 total_tokens=1323",
    r#"{"max_tokens":100,"tokens":5,"token_count":3,"usage":{"total_tokens":9},"eos_token":"</s>","pad_token":"<pad>"}"#,
    r#"{"token":" the","logprob":-0.1,"bytes":[32,116]}"#,
    r#"{"password":null,"token":false,"secret":"","next_page_token":"CAUQAA9b3f"}"#,
    r#"{"properties":{"password":{"type":"string","description":"at least 8 characters"}},"required":["password","token"]}"#,
    "Password: must be at least 8 characters",
    "Secrets: a novel. Cookies: none. Authorization: see RFC 9110, section 11.",
    "Basic authentication is no secret, and neither is Bearer of good news, nor basic access",
    "Authorization: Bearer <token>\nAuthorization: Bearer $TOKEN\nAuthorization: Bearer ${TOKEN}\nAuthorization: Basic access is fine",
    "Use --password to give one, --token TOKEN or --api-key <KEY>; `--secret` is gone, --max-tokens 100 stays.",
    "password=$PASSWORD token=${TOKEN} secret=<secret> api_key=your-api-key PASSWORD=****** pwd=...",
    "let token = lexer.next(); if token == Token::End { return Err(secret) }",
    "fn login(user: &str, password: &str) -> Result<Token, Error> { let pass = password.trim(); pass }",
    "struct Login { user: String, password: String, token: Option<Token>, secret: SecretString }",
    "self.password = password\nself.token = token or os.environ.get(\"TOKEN\")\nlogin(user=user, password=password)",
    "interface Login { user: string; password: string; token?: string }",
    "const { token, password } = req.body; const secret = process.env.SECRET; fetch(url, { credentials: 'include' })",
    "api_key = os.getenv('API_KEY')\napi_key=get_key()\ntokenizer = Tokenizer(vocab)\nsecret = Secret::new(value)",
    "match token { Token::Word => 1, _ => 0 }; tokens.push(token); password_hash = hash(password)",
    "password_file: /etc/app/password\nsecret_name: app-secrets\ntoken_type: bearer\napi_key_env: OPENAI_API_KEY",
    "commit 857be14a3b1c9d0e2f4a6b8c7d9e0f1a2b3c4d5e\nindex 0123456..89abcde 100644",
    "550e8400-e29b-41d4-a716-446655440000 018f4e2a-7b1c-7c3d-9e4f-5a6b7c8d9e0f",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    "https://example.org:8080/@ada/posts?page=2&sort=name#top git@github.com:ada/repo.git ssh://git@example.org/a",
    "https://registry.example.org/@scope/pkg/-/pkg-1.0.0.tgz http://localhost:11434/v1 user@example.org",
    "2025-12-15 03:19:33 INFO llm_call_complete phase=tool_decision duration_ms=19500 worker_id=2025-12-15T03-19-12_backup model=gpt-5-mini prompt_tokens=1234 completion_tokens=89 total_tokens=1323 event=llm_call_complete",
    r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.345678Z","end_ts":"2025-12-15T04:08:09.456789Z","duration_ms":1111,"success":true,"tool_call_id":"call_8a7b6c5d4e3f2a1b0c9d8e7f"}"#,
    "class=\"sk-loading-spinner-container sk-circle\" npm_config_registry npm_package_version hf_hub_download ghp_ key-value",
    "docker run -u 1000:1000 image; curl -u $USER:$PASS http://localhost; chmod -R u=rwx,g=rx file",
    "a.b.c.d MTI.abc pat.tern SG.a.b eyJ eyJhbGciOiJIUzI1NiJ9 not.a.jwt AKIA AIza xoxb- 1//0",
    "test result: ok. 12 passed; 0 failed; pass: 12, fail: 3, first_pass: done",
    "<input type=\"password\" name=\"password\" placeholder=\"Password\"> <token/> <secret></secret>",
    "machine learning turns text to tokens: one token a word, more or less; a cookie is a biscuit",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUe1\n-----END CERTIFICATE-----",
    "der Schlüssel ist nicht da; пароль: нет; 密码 : 无",
];

#[test]
fn normal_text_is_untouched() {
    for text in TEXTS {
        assert_eq!(written(text), *text);
    }
}

#[test]
fn data_of_any_kind_is_untouched() {
    let base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for n in 0..64 {
        let image = random(20_000 + n, base64);
        for text in [
            format!("data:image/png;base64,{image}=="),
            format!(r#"{{"image":"{image}"}}"#),
            image
                .as_bytes()
                .chunks(76)
                .map(|it| String::from_utf8_lossy(it) + "\n")
                .collect(),
            random(20_000 + n, "0123456789abcdef"),
        ] {
            let res = written(&text);
            let same = res
                .bytes()
                .zip(text.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            let place = &text[same.saturating_sub(20)..(same + 80).min(text.len())];
            assert!(res == text, "{n}: {place}");
        }
    }
}

/// The project's own pages and sources: whoever writes such texts shall find them again. The pages about secrets, and the
/// tests that plant some, are left out.
#[test]
fn the_project_s_own_texts_are_untouched() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let mut n_files = 0;
    let mut touched = Vec::new();
    for dir in ["docs", "crates", "xtask"] {
        visit(&root.join(dir), &mut |path| {
            let name = path.to_string_lossy();
            let is_text = [".rs", ".md", ".toml"].iter().any(|it| name.ends_with(it));
            if !is_text
                || name.contains("crates/redactor")
                || name.contains("secrets")
                || name.contains("tests")
                || name.contains("http_request/rules")
            // Tests too.
            {
                return;
            }
            n_files += 1;
            let text = fs::read_to_string(path).unwrap();
            for (before, after) in text.lines().zip(written(&text).lines()) {
                // Of these it is the tests' own password that goes.
                if before != after && !before.contains("me:pass-1234@") {
                    touched.push(format!("{name}: {before}"));
                }
            }
        });
    }
    assert!(n_files > 150, "{n_files}");
    assert!(touched.is_empty(), "{touched:#?}");
}

fn visit(dir: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, each);
        } else {
            each(&path);
        }
    }
}

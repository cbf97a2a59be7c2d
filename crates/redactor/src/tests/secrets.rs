//! Made-up secrets of real shapes, put together when the tests run: no scanner shall take this file for a leak.

/// So many characters, the same each time: of letters and digits, no word in them.
pub(super) fn random(n: usize, alphabet: &str) -> String {
    let alphabet = alphabet.as_bytes();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ n as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % alphabet.len() as u64).unwrap()
    };
    (0..n).map(|_| char::from(alphabet[next()])).collect()
}

const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &str = "0123456789abcdef";
const DIGITS: &str = "123456789";

/// A beginning, and what follows it: of which characters, and how many.
const WITH_PREFIX: &[(&str, &[&str], &str, usize)] = &[
    ("OpenAI, legacy", &["s", "k-"], MIXED, 48),
    ("OpenAI, project", &["s", "k-pro", "j-"], MIXED, 120),
    (
        "OpenAI, service account",
        &["s", "k-svc", "acct-"],
        MIXED,
        64,
    ),
    ("OpenAI, session", &["se", "ss-"], MIXED, 40),
    ("Anthropic", &["s", "k-an", "t-api03-"], MIXED, 93),
    ("OpenRouter", &["s", "k-or-", "v1-"], HEX, 64),
    ("DeepSeek", &["s", "k-"], HEX, 32),
    ("Groq", &["gs", "k_"], MIXED, 52),
    ("xAI", &["xa", "i-"], MIXED, 80),
    ("Perplexity", &["ppl", "x-"], MIXED, 48),
    ("Hugging Face", &["h", "f_"], MIXED, 34),
    ("Replicate", &["r", "8_"], MIXED, 37),
    ("NVIDIA", &["nva", "pi-"], MIXED, 64),
    ("Tavily", &["tvl", "y-dev-"], MIXED, 32),
    ("LangSmith", &["lsv", "2_pt_"], HEX, 43),
    ("GitHub, classic", &["gh", "p_"], MIXED, 36),
    ("GitHub, OAuth", &["gh", "o_"], MIXED, 36),
    ("GitHub, server", &["gh", "s_"], MIXED, 36),
    ("GitHub, refresh", &["gh", "r_"], MIXED, 76),
    ("GitHub, fine-grained", &["github", "_pat_"], MIXED, 82),
    ("GitLab, personal", &["glp", "at-"], MIXED, 20),
    ("GitLab, runner", &["glr", "t-"], MIXED, 20),
    ("Bitbucket", &["AT", "BB"], MIXED, 32),
    ("Atlassian", &["ATA", "TT3x"], MIXED, 180),
    ("AWS, access key", &["AK", "IA"], UPPER, 16),
    ("AWS, temporary key", &["AS", "IA"], UPPER, 16),
    ("AWS, session", &["IQoJ", "b3JpZ2lu"], MIXED, 300),
    ("Google, API key", &["AI", "za"], MIXED, 35),
    ("Google, OAuth", &["ya", "29."], MIXED, 120),
    ("Google, client secret", &["GOC", "SPX-"], MIXED, 28),
    ("Google, refresh", &["1/", "/0"], MIXED, 60),
    ("Slack, bot", &["xo", "xb-2345678901-"], MIXED, 24),
    ("Slack, user", &["xo", "xp-2345678901-2345678901-"], HEX, 32),
    ("Slack, app", &["xa", "pp-1-A0B1C2D3-"], HEX, 64),
    ("Stripe, live", &["s", "k_li", "ve_"], MIXED, 24),
    ("Stripe, restricted", &["r", "k_li", "ve_"], MIXED, 24),
    ("Stripe, webhook", &["whs", "ec_"], MIXED, 32),
    ("npm", &["np", "m_"], MIXED, 36),
    ("PyPI", &["pyp", "i-AgEIcHlwaS5vcmc"], MIXED, 150),
    ("RubyGems", &["ruby", "gems_"], HEX, 48),
    ("crates.io", &["ci", "o"], MIXED, 32),
    ("Docker", &["dckr", "_pat_"], MIXED, 27),
    ("NuGet", &["oy", "2"], LOWER, 43),
    ("Vault", &["hv", "s."], MIXED, 90),
    ("DigitalOcean", &["dop", "_v1_"], HEX, 64),
    ("Databricks", &["da", "pi"], HEX, 32),
    ("Grafana", &["gl", "sa_"], MIXED, 40),
    ("New Relic", &["NR", "AK-"], UPPER, 27),
    ("Sentry", &["sntr", "ys_"], MIXED, 100),
    ("Shopify", &["shp", "at_"], HEX, 32),
    ("Square", &["sq0", "csp-"], MIXED, 43),
    ("Linear", &["lin", "_api_"], MIXED, 40),
    ("Notion", &["nt", "n_"], MIXED, 46),
    ("Figma", &["fig", "d_"], MIXED, 40),
    ("Twilio", &["S", "K"], HEX, 32),
    ("Mailgun", &["ke", "y-"], HEX, 32),
    ("Brevo", &["xkey", "sib-"], HEX, 64),
    ("Pulumi", &["pu", "l-"], HEX, 40),
    ("Doppler", &["dp.", "pt."], MIXED, 43),
    ("Tailscale", &["tskey", "-auth-"], MIXED, 40),
    ("Supabase", &["sb", "p_"], HEX, 40),
    ("PlanetScale", &["pscale", "_tkn_"], MIXED, 43),
    ("PostHog", &["ph", "x_"], MIXED, 43),
    ("Fly", &["fo", "1_"], MIXED, 43),
    ("age", &["AGE-SECRET", "-KEY-1"], UPPER, 58),
    ("Alibaba", &["LT", "AI"], MIXED, 20),
];

/// Name and secret.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let with_prefix = WITH_PREFIX.iter();
    let mut res: Vec<_> = with_prefix
        .map(|(name, prefix, of, n)| (*name, prefix.concat() + &random(*n, of)))
        .collect();
    let part = |n| random(n, MIXED);
    res.extend([
        (
            "JWT",
            ["ey", "J", &part(30), ".ey", "J", &part(80), ".", &part(43)].concat(),
        ),
        (
            "JWT, encrypted",
            [
                "ey",
                "J",
                &part(40),
                "..",
                &part(16),
                ".",
                &part(60),
                ".",
                &part(22),
            ]
            .concat(),
        ),
        (
            "Telegram",
            [&random(10, DIGITS), ":A", "A", &part(33)].concat(),
        ),
        (
            "Discord",
            ["MT", "E", &part(23), ".", &part(6), ".", &part(38)].concat(),
        ),
        ("SendGrid", ["S", "G.", &part(22), ".", &part(43)].concat()),
        (
            "Airtable",
            ["pa", "t", &part(14), ".", &random(64, HEX)].concat(),
        ),
        (
            "Terraform",
            [&part(14), ".atlas", "v1.", &part(67)].concat(),
        ),
        (
            "Microsoft Entra",
            [&part(3), "8", "Q", "~", &part(34)].concat(),
        ),
        (
            "Azure, services",
            [&part(52), "JQQ", "J99", &part(26)].concat(),
        ),
    ]);
    res
}

/// Addresses that are secrets: what stays of them, and the rest.
pub(super) fn webhooks() -> Vec<(&'static str, String)> {
    vec![
        (
            "https://hooks.slack.com/services/",
            ["T0", "1/B0", "2/", &random(24, MIXED)].concat(),
        ),
        (
            "https://discord.com/api/webhooks/",
            [&random(18, DIGITS), "/", &random(68, MIXED)].concat(),
        ),
        (
            "https://api.telegram.org/bot",
            [&random(10, DIGITS), "/sendMessage0"].concat(),
        ),
    ]
}

/// A private key's lines.
pub(super) fn private_key(kind: &str, line_end: &str) -> (String, String, String) {
    let lines: Vec<_> = (60..65).map(|n| random(n, MIXED) + "/+").collect();
    let line = |which: &str| format!("-----{which} {kind}-----");
    let body = format!("{line_end}{}{line_end}", lines.join(line_end));
    (line("BEGIN"), body, line("END"))
}

//! The shapes that well-known secrets have.

/// What a secret is made of after its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Alnum,
    /// And `_`.
    Word,
    /// And `_` and `-`.
    Dashed,
    /// And `_`, `-` and `.`.
    Dotted,
    Hex,
    /// Capitals and digits.
    Upper,
    /// And `+`, `/`, `=`.
    Base64,
    /// Whatever a path may hold.
    Path,
}

impl Body {
    pub(crate) fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Dashed => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Base64 => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
            }
            Self::Path => {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'_' | b'-' | b'/' | b'.' | b'@' | b'%' | b'~')
            }
        }
    }
}

/// A secret that says by its beginning what it is.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) prefix: String,
    pub(crate) body: Body,
    /// The least length of the body.
    pub(crate) min: usize,
    /// The whole length of the body, where a longer one is something else.
    pub(crate) is_exact: bool,
    /// Whether the beginning stays, as it is an address and no part of the secret.
    pub(crate) keeps_prefix: bool,
}

macro_rules! shapes {
    ($($body:ident $min:literal: $($prefix:literal)+;)+) => {
        &[$($(($prefix, Body::$body, $min),)+)+]
    };
}

/// How much must follow at least.
const AT_LEAST: &[(&str, Body, usize)] = shapes! {
    Dashed 20: "sk-" "glpat-" "gldt-" "glrt-" "glcbt-" "glptt-" "glft-" "glagent-" "gloas-" "glsoat-" "xai-" "pplx-"
        "csk-" "tvly-" "pcsk_" "figd_" "tskey-auth-" "tskey-api-" "tskey-client-" "sbp_" "sb_secret_" "nvapi-" "bkua_"
        "xkeysib-" "xsmtpsib-" "phx_" "HRKU-" "CFPAT-" "GOCSPX-" "dckr_pat_" "dckr_oat_" "sntrys_" "sntryu_" "lsv2_pt_"
        "lsv2_sk_" "pscale_tkn_" "pscale_pw_" "pscale_oauth_" "ATATT3" "ATCTT3" "CCIPAT_" "CCIPRJ_" "ops_eyJ";
    Alnum 30: "ghp_" "gho_" "ghu_" "ghs_" "ghr_" "hf_" "npm_" "cio" "gsk_" "r8_" "ntn_" "ATBB" "lin_api_" "secret_" "AKCp"
        "nfp_" "EZAK" "EZTK";
    Word 22: "github_pat_" "jina_" "wandb_v1_" "tgp_v1_" "glc_" "glsa_" "rdme_" "pnu_" "apify_api_" "ntn_";
    Dashed 33: "AIza" "1//0";
    Dotted 20: "ya29." "hvs." "hvb." "hvr." "dp.pt." "dp.st." "dp.ct." "dp.sa." "mlsn.";
    Dotted 130: "sl.";
    Dashed 12: "xoxb-" "xoxa-" "xoxp-" "xoxr-" "xoxs-" "xoxo-" "xoxc-" "xoxd-" "xoxe-" "xapp-";
    Dotted 13: "xoxe.xox";
    Alnum 16: "sk_live_" "sk_test_" "rk_live_" "rk_test_" "sk_prod_" "LTAI";
    Base64 24: "whsec_" "ABSK";
    Dashed 50: "pypi-AgE" "EAAA";
    Hex 32: "rubygems_" "dapi" "shpat_" "shpca_" "shppa_" "shpss_" "pul-" "dop_v1_" "doo_v1_" "dor_v1_" "sk_";
    Dashed 22: "sq0atp-" "sq0csp-" "sq0idp-";
    Base64 60: "IQoJb3JpZ2lu" "FwoGZXIvYXdz" "FQoGZXIvYXdz";
    Upper 27: "NRAK-" "AGE-SECRET-KEY-1";
    Dotted 40: "mfa.";
    Alnum 80: "EAA";
    Dashed 40: "sess-" "fo1_" "fm2_" "shippo_live_";
};

/// How much must follow, and no more.
const EXACT: &[(&str, Body, usize)] = &[
    ("AKIA", Body::Upper, 16),
    ("ASIA", Body::Upper, 16),
    ("ABIA", Body::Upper, 16),
    ("ACCA", Body::Upper, 16),
    ("SK", Body::Hex, 32),
    ("key-", Body::Hex, 32),
    ("oy2", Body::Alnum, 43),
    ("AKID", Body::Alnum, 32),
];

/// Addresses that are secrets: whoever knows one may post there.
const WEBHOOKS: &[&str] = &[
    "hooks.slack.com/services/",
    "hooks.slack.com/workflows/",
    "hooks.slack.com/triggers/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "webhook.office.com/webhookb2/",
    "hooks.zapier.com/hooks/catch/",
    "api.telegram.org/bot",
];

pub(crate) fn known() -> Vec<Shape> {
    let shape = |&(prefix, body, min): &(&str, Body, usize), is_exact| Shape {
        prefix: prefix.to_owned(),
        body,
        min,
        is_exact,
        keeps_prefix: false,
    };
    let webhooks = WEBHOOKS.iter().map(|prefix| Shape {
        prefix: (*prefix).to_owned(),
        body: Body::Path,
        min: 12,
        is_exact: false,
        keeps_prefix: true,
    });
    let at_least = AT_LEAST.iter().map(|it| shape(it, false));
    at_least
        .chain(EXACT.iter().map(|it| shape(it, true)))
        .chain(webhooks)
        .collect()
}

/// What stands in the middle of a secret: it, the least that stands before it, the least after it, of what.
pub(crate) const MIDDLES: &[(&str, usize, usize, Body)] = &[
    (":AA", 8, 30, Body::Dashed), // Telegram's bots: the digits of an id before it.
    (".atlasv1.", 14, 60, Body::Dashed), // Terraform.
    ("Q~", 3, 31, Body::Dotted),  // Microsoft Entra.
    ("JQQJ99", 40, 20, Body::Alnum), // Azure's services.
    ("+AStA", 40, 20, Body::Base64), // Azure's storage.
    ("+ARm", 40, 20, Body::Base64),
];

/// Secrets of several parts with a dot between them: how they begin, and how long each part may be.
pub(crate) fn in_parts() -> Vec<(String, &'static [(usize, usize)])> {
    const DISCORD: &[(usize, usize)] = &[(23, 28), (6, 6), (27, 40)];
    const AIRTABLE: &[(usize, usize)] = &[(17, 17), (64, 64)];
    const SENDGRID: &[(usize, usize)] = &[(2, 2), (16, 32), (16, 64)];
    // Discord's tokens begin with the base64 of a number's digits.
    let firsts = ["MT", "Mj", "Mz", "ND", "NT", "Nj", "Nz", "OD", "OT"];
    let seconds = ["A", "E", "I", "M", "Q", "U", "Y", "c", "g", "k"];
    let discord = firsts
        .iter()
        .flat_map(|first| seconds.map(|second| format!("{first}{second}")));
    let mut res: Vec<_> = discord.map(|it| (it, DISCORD)).collect();
    res.push(("pat".to_owned(), AIRTABLE));
    res.push(("SG.".to_owned(), SENDGRID));
    res
}

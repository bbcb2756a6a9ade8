"""Secrets that are known by their shape alone, wherever they stand."""

import re

MARKS = (
    "eyJ", "gh", "github_pat_", "glpat-", "k_", "sk-", "AKIA", "ASIA", "xox", "xapp-", "-----BEGIN ", "AIza", "ya29.",
    "npm_", "pypi-", "SG.", "hf_", "whsec_", "shp", "dapi", "hvs.", "hooks.slack.com", "/bot", "dop_v1_", "EAA",
)  # fmt: skip
"""One of these is in every text that has one of the following: looking for them is quick, matching patterns is not."""
TOKENS = (
    r"\beyJ[\w-]{8,}(?:\.[\w-]*){2,4}",  # JSON Web Token (RFC 7519), signed or encrypted
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    r"\bgithub_pat_\w{22,}",
    r"\bgl(?:pat|dt|rt|cbt|ptt|ft)-[\w-]{20,}",  # GitLab
    r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
    r"\bwhsec_[\w+/=-]{16,}",
    r"\bsk-[\w-]{20,}",  # OpenAI, Anthropic
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # AWS
    r"\bxox[abeoprs]-[\w-]{10,}",  # Slack
    r"\bxapp-[\w-]{10,}",
    r"(?<=hooks\.slack\.com/services/)[\w/]{20,}",
    r"(?<=/bot)\d{6,}:[\w-]{30,}",  # Telegram
    r"\bAIza[\w-]{35}",  # Google
    r"\bya29\.[\w-]{20,}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bpypi-[\w-]{16,}",
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    r"\bhf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    r"\bdapi[0-9a-f]{32}",  # Databricks
    r"\bdop_v1_[0-9a-f]{64}",  # DigitalOcean
    r"\bhvs\.[\w-]{24,}",  # Vault
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
)
SHAPE = re.compile("|".join(TOKENS))


def may_have_shape(text: str) -> bool:
    """Return False where no secret of a known shape can be."""
    return any(mark in text for mark in MARKS)

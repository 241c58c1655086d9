"""Texts that try to be more than text: in a terminal, in markdown, in HTML, in a URL, and by their sheer length."""

from __future__ import annotations

from hypothesis import strategies as st

SECRET = "geheim-7f3a"  # noqa: S105 - to be found, or rather not
"""No output may hold it: it only ever stands in the place of a password."""

HOSTILE = (
    *(
        "```",
        "~~~~",
        "`",
        "``x",
        "|",
        "a\\|b",
        "\\\\|",
        "|---|",
        "<img src=x onerror=window.hurt=1>",
        "@team",
        "@org/team",
    ),
    *("#12", "GH-12", "org/repo#12", "!7", "%3", "&9", "~bug", "/close", "# a", "1. a", "- a", "---", "> q", "a\nb"),
    *(
        "\n\n# gone\n",
        "\r\n| x |",
        "    code",
        "\tcode",
        "***",
        "[x](https://evil.example)",
        "![x](//evil.example/y.png)",
    ),
    *(
        "[x]: https://evil.example",
        "<https://evil.example>",
        "https://evil.example/a",
        "www.evil.example",
        "a@evil.example",
    ),
    *(
        "ftp://evil.example",
        "mailto:a@evil.example",
        "0123456789abcdef0123456789abcdef01234567",
        "deadbeef",
        ":shipit:",
    ),
    *(
        "</details>",
        "</summary><h1>x",
        "<!-- -->",
        "-->",
        "]]>",
        "<script>window.hurt=1</script>",
        '"><svg onload=hurt=1>',
    ),
    *(
        "' onclick=window.hurt=1 x='",
        "</style><script>window.hurt=1</script>",
        "&lt;b&gt;",
        "&#60;b&#62;",
        "{{x}}",
        "$x$",
    ),
    *(
        "\x1b[31mred\x1b[0m",
        "\x1b]8;;https://evil.example\x07x\x1b]8;;\x07",
        "\x00",
        "\x07\x08\x7f",
        "\x9b31m",
        "[bold]x[/]",
    ),
    *(
        "\u202eabc",
        "\u2066x\u2069",
        "\u200b\u200d",
        "\ufeff",
        "\u2028\u2029",
        "\U000e0041",
        "\ud800",
        "\u0301" * 40,
        "\U0001f480",
    ),
    *("$(rm -rf /)", "`id`", "; id", "%%{init: {'theme': 'x'}}%%", 'a"]; click s1 "javascript:x"', "end"),
    *(
        "javascript:window.hurt=1",
        "_a_ *b* ~~c~~",
        "- [ ] x",
        "x" * 10_240,
        "| " * 5_120,
        "\u202e" * 10_240,
        "`" * 10_240,
    ),
    *(f"redis://me:{SECRET}@host:6379", f"https://x/?token={SECRET}", f"rediss://:{SECRET}@h/0 `x"),
)
FULL = "".join(text for text in HOSTILE if len(text) < 1_000 and "\ud800" not in text)
"""Most of them in one."""

TEXTS = (
    st.sampled_from(HOSTILE)
    | st.text(min_size=1, max_size=40).filter(lambda text: SECRET not in text)  # Hypothesis knows our constants
    | st.lists(st.sampled_from([text for text in HOSTILE if len(text) < 100]), min_size=2, max_size=4).map("".join)
)

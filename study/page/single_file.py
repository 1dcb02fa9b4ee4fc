"""One HTML file from a template, style sheets and JavaScript modules: it loads nothing else."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.reporting import findings, formats, tables, templates

SITE = Path(__file__).with_name("site")
TEMPLATE = "index.html.j2"
FIRST_MODULE = "main.js"
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
FILTERS = (
    findings.check_text,
    findings.mean_and_sd,
    formats.interval,
    formats.number,
    formats.p_equals,
    formats.signed,
    formats.title,
    tables.difference_text,
    tables.difference_unit,
)


def render(values: Mapping[str, Any], data: Mapping[str, Any], site: Path = SITE) -> str:
    """Return the page: the template with these values, and `data` for its scripts."""
    style, script = styles(site), bundle(site)
    built = {
        "policy": policy(style, script),
        "style": style,
        "script": script,
        "data": inline_json(data),
    }
    return templates.render(site / TEMPLATE, {**values, **built}, FILTERS, autoescape=True)


def policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style, this script, no connection to anywhere."""
    return (
        f"default-src 'none'; style-src '{checksum(style)}'; script-src '{checksum(script)}';"
        " base-uri 'none'; form-action 'none'"
    )


def checksum(text: str) -> str:
    """Return the checksum by which a policy names the content of a style or script element."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def styles(site: Path) -> str:
    """Return all style sheets, in the order of their names."""
    return "\n" + "\n".join(
        path.read_text("utf-8") for path in sorted((site / "styles").glob("[!.]*.css"))
    )


def bundle(site: Path, first: str = FIRST_MODULE) -> str:
    """Return a module, preceded by all modules that it imports, directly or not.

    They share one scope, so that each top-level name must be in one module only; otherwise, the
    browser reports the second one. They import by name, in braces.
    """
    texts: dict[str, str] = {}

    def add(name: str) -> None:
        if name in texts:
            return
        text = (site / "scripts" / name).read_text("utf-8")
        for imported in IMPORT.findall(text):
            add(imported)
        texts[name] = re.sub("^export ", "", IMPORT.sub("", text), flags=re.MULTILINE)

    add(first)
    return "\n" + "\n".join(f"// {name}\n{text.lstrip()}" for name, text in texts.items())


def inline_json(data: Mapping[str, Any]) -> str:
    """Return data as JSON that cannot end the element it is in."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")

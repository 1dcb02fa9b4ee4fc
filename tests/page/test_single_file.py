from pathlib import Path

import pytest

from study.page import single_file


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The source of a small page of three modules."""
    for name, text in {
        "scripts/main.js": 'import { a } from "./a.js";\nimport { b } from "./b.js";\n\na(b);\n',
        "scripts/a.js": 'import {\n  b,\n} from "./b.js";\n\nexport function a() {}\n',
        "scripts/b.js": "export const b = 1;\n",
        "scripts/unused.js": "fail();\n",
        "styles/2_later.css": "p {}\n",
        "styles/1_first.css": "a {}\n",
        "index.html.j2": (
            "{{ policy }}|{{ style|safe }}|{{ script|safe }}|{{ data|safe }}|{{ word }}"
        ),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_bundle_has_each_module_once_behind_what_it_imports(site: Path) -> None:
    assert single_file.bundle(site) == (
        "\n// b.js\nconst b = 1;\n\n// a.js\nfunction a() {}\n\n// main.js\na(b);\n"
    )


def test_render_fills_the_template_with_one_style_and_one_script(site: Path) -> None:
    text = single_file.render({"word": "<b>"}, {"text": "</script>"}, site)
    policy, style, script, data, word = text.split("|")
    assert style == "\na {}\n\np {}\n"
    assert single_file.checksum(style) in policy
    assert single_file.checksum(script) in policy
    assert data == '{"text":"\\u003c/script>"}'
    assert word == "&lt;b&gt;"


def test_checksum_is_that_of_a_content_security_policy() -> None:
    # The example of https://www.w3.org/TR/CSP3/#external-hash: alert('Hello, world.');
    assert (
        single_file.checksum("alert('Hello, world.');")
        == "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
    )


def test_scripts_end_no_element() -> None:
    assert "</" not in single_file.bundle(single_file.SITE)
    assert "</" not in single_file.styles(single_file.SITE)

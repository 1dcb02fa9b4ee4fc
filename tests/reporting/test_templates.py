from pathlib import Path

import pytest

from study.reporting import templates
from tests.errors import message_of


def shout(text: str) -> str:
    return f"{text}!"


@pytest.mark.parametrize(("autoescape", "word"), [(False, "<b>"), (True, "&lt;b&gt;")])
def test_template_is_filled_and_escaped_if_asked(
    tmp_path: Path, autoescape: bool, word: str
) -> None:
    template = tmp_path / "page.j2"
    template.write_text("{% if word %}\n{{ word|shout }}\n{% endif %}\n", encoding="utf-8")
    text = templates.render(template, {"word": "<b>"}, [shout], autoescape=autoescape)
    assert text == f"{word}!\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{{ absent.key }}", ["absent"]),
        ("{{ models | wrong }}", ["wrong"]),
        ("{% for each in models %}", ["endfor"]),
    ],
)
def test_mistake_in_a_template_is_one_line(tmp_path: Path, line: str, words: list[str]) -> None:
    template = tmp_path / "report.md.j2"
    template.write_text(f"# Results\n\n{line}\n", encoding="utf-8")
    message = message_of(lambda: templates.render(template, {"models": []}, autoescape=False))
    for word in [*words, "report.md.j2 line 3"]:
        assert word in message

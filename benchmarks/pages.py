"""Parts of pages of docs/ that are written from measurements."""


def insert(text: str, module: str, part: str) -> str:
    """Return a page with the part that a module writes replaced: the lines between its markers."""
    before, begin, rest = text.partition(f"<!-- written by python -m {module} -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    return before + begin + part + end + after

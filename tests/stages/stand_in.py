"""A checkout whose pipeline is one stage that stands in for a long training."""

from pathlib import Path

import yaml

from tests.checkout import Checkout

PIPELINE = {
    "stages": {
        "stand_in": {
            "cmd": "python -m stages.stand_in",
            "deps": ["study/base", "models"],
            "outs": ["stood_in"],
        }
    }
}


def create(folder: Path, mnist: Path, main: str) -> Checkout:
    """Commit a pipeline whose only stage has the statements `main`."""
    checkout = Checkout.create(folder, mnist)
    root = checkout.root
    (root / "dvc.lock").unlink(missing_ok=True)
    (root / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE), encoding="utf-8")
    program = (
        '"""Stand in."""\n'
        "import os, time\n"
        "from pathlib import Path\n"
        "from stages.command import run\n"
        "def main():\n" + "".join(f"    {line}\n" for line in main.splitlines()) + "run(main)\n"
    )
    (root / "stages/stand_in.py").write_text(program, encoding="utf-8")
    checkout.commit("Stand in")
    return checkout

"""Check the claims of the write-up against the runs."""

import models
from stages import paths
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.evidence import configurations, run_table, verdicts, write_up
from study.recipes import params_file


def main() -> None:
    """Write the verdict on each claim."""
    no_arguments()
    params = params_file.read(read_text(paths.PARAMS), models.names())
    published = write_up.read(paths.WRITE_UP, paths.EPOCHS)
    plan = configurations.read(read_text(paths.EXPERIMENTS))
    checks = verdicts.read(read_text(paths.CLAIMS), published, plan.descriptions)
    rows = run_table.on_the_test_set(run_table.from_csv(read_text(paths.RUNS)))
    claims = verdicts.evaluate_claims(
        checks, published, rows, params.equivalence_margin, plan.defaults
    )
    write(paths.VERDICTS, verdicts.to_json(claims))


if __name__ == "__main__":
    run(main)

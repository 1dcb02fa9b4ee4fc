"""Check the claims of the write-up against the runs."""

import models
from stages import paths
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.evidence import claims_file, configurations, run_table, verdicts, write_up
from study.recipes import params_file


def main() -> None:
    """Write the verdict on each claim, or how many runs are missing."""
    no_arguments()
    params = params_file.read(read_text(paths.PARAMS), models.names())
    published = write_up.read(paths.WRITE_UP, paths.EPOCHS)
    experiments = configurations.read(read_text(paths.EXPERIMENTS))
    file = claims_file.read(read_text(paths.CLAIMS), published, experiments)
    tested = run_table.on_the_test_set(run_table.from_csv(read_text(paths.RUNS)))
    judged = verdicts.judge(file, published, experiments, tested, params.equivalence_margin)
    if judged.missing:
        missing = sum(judged.missing.values())
        print(
            f"{missing} of {judged.runs} runs are missing, so no claim is judged yet;"
            " run `make experiments`"
        )
    write(paths.VERDICTS, verdicts.to_json(judged))


if __name__ == "__main__":
    run(main)

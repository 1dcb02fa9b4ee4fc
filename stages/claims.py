"""Check the claims of the write-up against the runs."""

from stages import paths, project_files
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.evidence import claims_file, judging, run_table, verdicts


def main() -> None:
    """Write the verdict on each claim, or how many runs are missing."""
    no_arguments()
    margin = project_files.params().equivalence_margin
    published, experiments = project_files.published(), project_files.experiments()
    file = claims_file.read(read_text(paths.CLAIMS), published, experiments)
    tested = run_table.on_the_test_set(project_files.rows())
    judged = judging.judge(file, published, experiments, tested, margin)
    if judged.missing:
        missing = sum(judged.missing.values())
        print(
            f"{missing} of {judged.runs} runs are missing, so no claim is judged yet;"
            " run `make experiments`"
        )
    write(paths.VERDICTS, verdicts.to_json(judged))


if __name__ == "__main__":
    run(main)

"""Put the documents' conclusions to the test."""

from stages import paths
from stages.command import ArgumentParser, run
from study.base.files import read_text, write
from study.evidence import configurations, run_table, verdicts, write_up
from study.recipes import params_file


def main() -> None:
    """Hold each conclusion against the ledger; the command says what counts as the same."""
    parser = ArgumentParser()
    parser.add_argument("margin")
    margin = params_file.equivalence_margin(parser.parse_args().margin)

    documented = write_up.read(paths.DOCUMENTS, paths.EPOCHS)
    known = configurations.descriptions(read_text(paths.EXPERIMENTS))
    tests = verdicts.read(read_text(paths.CLAIMS), documented, known)
    rows = run_table.on_the_test_set(run_table.from_csv(read_text(paths.LEDGER)))
    write(paths.VERDICTS, verdicts.to_json(verdicts.judge(tests, documented, rows, margin)))


if __name__ == "__main__":
    run(main)

"""Put the documents' conclusions to the test."""

from stages import paths
from stages.command import ArgumentParser, run
from study import claims, documents, experiments, ledger, parameters
from study.files import text, write


def main() -> None:
    """Hold each conclusion against the ledger; the command says what counts as the same."""
    parser = ArgumentParser()
    parser.add_argument("margin")
    margin = parameters.equivalence_margin(parser.parse_args().margin)

    documented = documents.read(paths.DOCUMENTS, paths.EPOCHS)
    known = experiments.descriptions(text(paths.EXPERIMENTS))
    tests = claims.read(text(paths.CLAIMS), documented, known)
    rows = ledger.on_the_test_set(ledger.from_csv(text(paths.LEDGER)))
    write(paths.VERDICTS, claims.to_json(claims.judge(tests, documented, rows, margin)))


if __name__ == "__main__":
    run(main)

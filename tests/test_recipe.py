import pytest

from study.errors import UserError
from study.recipe import Recipe

VALUES = {
    "seed": 1,
    "epochs": 15,
    "batch_size": 128,
    "learning_rate": 0.01,
    "momentum": 0.9,
    "dropout": 0.1,
    "rotation": 0,
    "samples": 60000,
    "device": "cpu",
}


def test_numbers_and_text_give_the_same_recipe() -> None:
    text = {key: str(value) for key, value in VALUES.items()}
    assert Recipe.parse(VALUES) == Recipe.parse(text)
    assert Recipe.parse(VALUES | {"learning_rate": "1e-5"}).learning_rate == 1e-5


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("dropout", 1.5, "a number, at least 0, below 1"),
        ("dropout", 1, "a number, at least 0, below 1"),
        ("dropout", -0.1, "a number, at least 0, below 1"),
        ("epochs", 0, "a whole number, at least 1, at most 1000"),
        ("epochs", 1.5, "a whole number, at least 1, at most 1000"),
        ("epochs", True, "a whole number, at least 1, at most 1000"),
        ("epochs", None, "a whole number, at least 1, at most 1000"),
        ("epochs", [15], "a whole number, at least 1, at most 1000"),
        ("seed", -1, "a whole number, at least 0, below 4294967296"),
        ("learning_rate", "fast", "a number, above 0, at most 1000"),
        ("learning_rate", "nan", "a number, above 0, at most 1000"),
        ("learning_rate", "inf", "a number, above 0, at most 1000"),
        ("momentum", 1, "a number, at least 0, below 1"),
        ("rotation", 200, "a number, at least 0, at most 180"),
        ("samples", 60001, "a whole number, at least 1, at most 60000"),
        ("device", "gpu", "cpu or cuda"),
    ],
)
def test_a_value_that_is_not_allowed(key: str, value: object, allowed: str) -> None:
    with pytest.raises(UserError) as caught:
        Recipe.parse(VALUES | {key: value}, "train.")
    assert str(caught.value) == f"train.{key} = {value}: give {allowed}"


def test_a_batch_larger_than_the_set() -> None:
    with pytest.raises(UserError, match=r"train\.batch_size = 128: give at most samples = 100"):
        Recipe.parse(VALUES | {"samples": 100}, "train.")


def test_a_missing_key() -> None:
    with pytest.raises(UserError, match=r"train\.momentum is missing: give a number"):
        Recipe.parse({key: value for key, value in VALUES.items() if key != "momentum"}, "train.")


def test_an_unknown_key() -> None:
    with pytest.raises(UserError, match=r"train\.droput: unknown; known here: seed, epochs"):
        Recipe.parse(VALUES | {"droput": 0.1}, "train.")

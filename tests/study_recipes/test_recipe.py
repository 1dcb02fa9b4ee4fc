import pytest

from study.recipes.recipe import Recipe
from tests.errors import message_of
from tests.recipes import VALUES, recipe

RANGES: dict[str, tuple[str, list[object], list[object]]] = {
    "seed": ("an integer in [0, 4294967295]", [0, 2**32 - 1], [-1, 2**32, 1.5]),
    "epochs": ("an integer in [1, 1000]", [1, 1000], [0, 1001, 1.5, True, None, [15], "1e1"]),
    "batch_size": ("an integer in [1, 60000]", [1, 60000], [0, 60001]),
    "learning_rate": ("a number in (0, 1000]", [1e-9, 1000], [0, 1001, "fast", "nan", "inf"]),
    "scheduler": ("constant or one_cycle", ["constant", "one_cycle"], ["cosine", None, 1]),
    "warmup_fraction": ("a number in [0, 1)", [0], [-0.1, 1]),
    "momentum": ("a number in [0, 1)", [0, 0.999], [-0.1, 1, True, None]),
    "weight_decay": ("a number in [0, 1]", [0, 1], [-0.1, 1.1]),
    "ema_decay": ("a number in [0, 1)", [0, 0.999], [-0.1, 1]),
    "dropout": ("a number in [0, 0.99]", [0, 0.99], [-0.1, 1, 1.5]),
    "rotation": ("a number in [0, 180]", [0, 180], [-1, 181]),
    "translation": ("a number in [0, 28]", [0, 28], [-1, 29]),
    "scaling": ("a number in [0, 1)", [0, 0.999], [-0.1, 1]),
    "elastic": ("a number in [0, 28]", [0, 28], [-1, 29]),
    "augmentation_anneal": ("a number in [0, 1]", [0], [-0.1, 1.1]),
    "interpolation": ("nearest or bilinear", ["nearest", "bilinear"], ["bicubic"]),
    "train_images": ("an integer in [1, 60000]", [128, 60000], [0, 60001]),
    "validation_images": ("an integer in [0, 60000)", [0, 59872], [-1, 60000]),
    "device": ("cpu or cuda", ["cpu", "cuda"], ["gpu", None]),
}
"""By key: what is allowed in words, values that are allowed, and values that are not."""


def complaint(values: dict[str, object]) -> str:
    return message_of(lambda: Recipe.parse(VALUES | values, "train."))


@pytest.mark.fault("an invalid value in a recipe", "one line with what is allowed")
@pytest.mark.parametrize("key", Recipe.model_fields)
def test_recipe_accepts_exactly_the_values_in_range(key: str) -> None:
    requirement, allowed, forbidden = RANGES[key]
    for value in allowed:
        assert getattr(recipe(**{key: value}), key) == value
    for value in forbidden:
        message = complaint({key: value})
        assert message.startswith(f"train.{key} must be {requirement}, got "), value


@pytest.mark.fault("values that contradict each other", "one line with both values")
@pytest.mark.parametrize(
    ("values", "key", "other", "got"),
    [
        ({"train_images": 100}, "batch_size", "train_images = 100", "128"),
        ({"validation_images": 59_900}, "batch_size", "validation_images = 100", "128"),
        ({"warmup_fraction": 0.2}, "warmup_fraction", "scheduler", "0.2"),
        ({"augmentation_anneal": 0.5}, "augmentation_anneal", "rotation", "0.5"),
        (
            {"train_images": 128, "epochs": 1, "scheduler": "one_cycle"},
            "scheduler",
            "one step",
            "one_cycle",
        ),
    ],
)
def test_recipe_names_values_that_contradict_each_other(
    values: dict[str, object], key: str, other: str, got: str
) -> None:
    message = complaint(values)
    assert message.startswith(f"train.{key} ")
    assert other in message
    assert message.endswith(f", got {got}")


@pytest.mark.parametrize(
    "values",
    [
        {"train_images": 128},
        {"validation_images": 59_872},
        {"warmup_fraction": 0.2, "scheduler": "one_cycle"},
        {"augmentation_anneal": 1, "translation": 1},
        {"train_images": 129, "epochs": 1, "scheduler": "one_cycle"},
    ],
)
def test_recipe_accepts_values_that_go_together(values: dict[str, object]) -> None:
    recipe(**values)

import pytest

from study.base.errors import UserError
from study.recipes.recipe import Recipe
from study.training import sgd
from tests.recipes import VALUES, recipe


def test_numbers_and_text_give_the_same_recipe() -> None:
    text = {key: str(value) for key, value in VALUES.items()}
    assert Recipe.parse(VALUES) == Recipe.parse(text)
    assert Recipe.parse(VALUES | {"learning_rate": "1e-5"}).learning_rate == 1e-5


@pytest.mark.fault("a value that a recipe may not have", "one line with what is allowed")
@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("dropout", 1.5, "a number, at least 0, at most 0.99"),
        ("dropout", 1, "a number, at least 0, at most 0.99"),
        ("dropout", -0.1, "a number, at least 0, at most 0.99"),
        ("epochs", 0, "a whole number, at least 1, at most 1000"),
        ("epochs", 1.5, "a whole number, at least 1, at most 1000"),
        ("epochs", True, "a whole number, at least 1, at most 1000"),
        ("epochs", None, "a whole number, at least 1, at most 1000"),
        ("epochs", [15], "a whole number, at least 1, at most 1000"),
        ("seed", -1, "a whole number, at least 0, below 4294967296"),
        ("learning_rate", "fast", "a number, above 0, at most 1000"),
        ("learning_rate", "nan", "a number, above 0, at most 1000"),
        ("learning_rate", "inf", "a number, above 0, at most 1000"),
        ("scheduler", "cosine", "constant or one_cycle"),
        ("warmup_fraction", 1, "a number, at least 0, below 1"),
        ("weight_decay", -0.1, "a number, at least 0, at most 1"),
        ("ema_decay", 1, "a number, at least 0, below 1"),
        ("translation", 29, "a number, at least 0, at most 28"),
        ("scaling", 1, "a number, at least 0, below 1"),
        ("elastic", -1, "a number, at least 0, at most 28"),
        ("augmentation_anneal", 1.1, "a number, at least 0, at most 1"),
        ("interpolation", "bicubic", "nearest or bilinear"),
        ("validation_images", 60000, "a whole number, at least 0, below 60000"),
        ("momentum", 1, "a number, at least 0, below 1"),
        ("rotation", 200, "a number, at least 0, at most 180"),
        ("train_images", 60001, "a whole number, at least 1, at most 60000"),
        ("device", "gpu", "cpu or cuda"),
    ],
)
def test_a_value_that_is_not_allowed(key: str, value: object, allowed: str) -> None:
    with pytest.raises(UserError) as caught:
        Recipe.parse(VALUES | {key: value}, "train.")
    assert str(caught.value) == f"train.{key} = {value}: give {allowed}"


def test_a_batch_larger_than_the_set() -> None:
    with pytest.raises(
        UserError, match=r"train\.batch_size = 128: give at most train_images = 100"
    ):
        Recipe.parse(VALUES | {"train_images": 100}, "train.")


def test_a_batch_larger_than_what_is_not_held_out() -> None:
    with pytest.raises(
        UserError, match=r"train\.batch_size = 128: give at most 60,000 - validation_images = 100"
    ):
        Recipe.parse(VALUES | {"validation_images": 59900}, "train.")


def test_what_is_held_out_is_not_trained_on() -> None:
    assert recipe(validation_images=10_000).training_images == 50_000
    assert recipe(validation_images=10_000, train_images=600).training_images == 600
    assert recipe(train_images=600).training_images == 600


@pytest.mark.parametrize(
    ("augmentation_anneal", "strengths"),
    [(0, [1, 1, 1, 1]), (0.5, [1, 1, 1, 0.5]), (1, [1, 0.75, 0.5, 0.25])],
)
def test_changes_of_images_fade(augmentation_anneal: float, strengths: list[float]) -> None:
    fades = recipe(epochs=4, rotation=7, augmentation_anneal=augmentation_anneal)
    assert [fades.strength(epoch) for epoch in range(4)] == strengths


def test_a_warm_up_of_a_constant_rate() -> None:
    with pytest.raises(
        UserError, match=r"train\.warmup_fraction = 0\.2: give 0, or scheduler = one_cycle"
    ):
        Recipe.parse(VALUES | {"warmup_fraction": 0.2}, "train.")


def one_cycle(steps: int, warmup_fraction: float) -> dict[str, object]:
    """A recipe of so many steps."""
    return {
        "train_images": 10 * steps,
        "batch_size": 10,
        "epochs": 1,
        "scheduler": "one_cycle",
        "warmup_fraction": warmup_fraction,
    }


@pytest.mark.parametrize(("steps", "warmup_fraction"), [(5, 0.2), (10, 0.1), (2, 0.5)])
def test_a_warm_up_of_one_step(steps: int, warmup_fraction: float) -> None:
    """Which PyTorch's scheduler cannot do; more and less than one, it can."""
    values = VALUES | one_cycle(steps, warmup_fraction)
    with pytest.raises(
        UserError,
        match=rf"train\.warmup_fraction = {warmup_fraction}: one of {steps} steps; give 0",
    ):
        Recipe.parse(values, "train.")
    network = sgd.initialize("model_3", recipe())
    for other in (warmup_fraction / 2, warmup_fraction * 1.5):
        possible = Recipe.parse(values | {"warmup_fraction": other})
        sgd.scheduler(sgd.optimizer(network, possible), possible, 10 * steps)


def test_one_step_in_all() -> None:
    with pytest.raises(UserError, match=r"train\.scheduler = one_cycle: there is one step; give"):
        Recipe.parse(VALUES | one_cycle(1, 0), "train.")


def test_fading_of_nothing() -> None:
    with pytest.raises(
        UserError, match=r"train\.augmentation_anneal = 0\.5: give 0, or rotation, "
    ):
        Recipe.parse(VALUES | {"augmentation_anneal": 0.5}, "train.")


def test_a_missing_key() -> None:
    with pytest.raises(UserError, match=r"train\.momentum is missing: give a number"):
        Recipe.parse({key: value for key, value in VALUES.items() if key != "momentum"}, "train.")


def test_an_unknown_key() -> None:
    with pytest.raises(UserError, match=r"train\.droput: unknown; known here: seed, epochs"):
        Recipe.parse(VALUES | {"droput": 0.1}, "train.")

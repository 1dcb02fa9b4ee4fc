"""The learning rate of each step."""

from study.recipes.recipe import Recipe

START, END = 25.0, 1e4
"""one_cycle starts at the peak / START, and ends at that rate / END."""


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, from 0 to `steps` - 1 over all epochs.

    one_cycle rises in a straight line to the recipe's rate, for the recipe's `warmup_fraction` of
    the steps, and falls in another to almost 0: Smith and Topin 2019, "Super-convergence",
    arXiv:1708.07120. It is torch's OneCycleLR with anneal_strategy="linear"; torch's default, the
    cosine, is not the same in every C library.
    """
    peak = recipe.learning_rate
    if recipe.scheduler == "constant":
        return peak
    top, last = recipe.warmup_fraction * steps - 1, steps - 1  # `top` is not always a whole number
    first = peak / START
    if step < top:
        return first + (peak - first) * (step / top)
    return peak + (first / END - peak) * ((step - top) / (last - top))

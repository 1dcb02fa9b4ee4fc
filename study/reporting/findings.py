"""What the study found, in sentences: the report and README.md begin with them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean

from study.evaluation.metrics import METRICS
from study.evidence.aggregates import ConfigurationStats, wrongly_ranked
from study.evidence.claims_file import ACCURACIES, TARGET
from study.evidence.verdicts import CheckResult, Claim, NumberResult, Verdicts
from study.evidence.write_up import WriteUp
from study.reporting.formats import decimals_apart, interval, listed, number, title


def metric_title(metric: str) -> str:
    """Return the name of a metric as the first word of a text."""
    name = METRICS[metric].name
    return name[:1].upper() + name[1:]


def findings(
    verdicts: Verdicts,
    configurations: Sequence[ConfigurationStats],
    final: ConfigurationStats | None,
    published: WriteUp,
    descriptions: Mapping[str, str],
) -> list[str]:
    """Return the findings as items of a list, in Markdown.

    `final` is the configuration that aims at the target, and `descriptions` are those of
    configurations, by id. Nothing is found while runs are missing.
    """
    if verdicts.missing:
        return [missing(verdicts)]
    found = (
        reproduction(verdicts.numbers, descriptions),
        conclusions("the write-up's", verdicts.claims, descriptions),
        answers(verdicts.questions, final, published, descriptions),
        lesson(configurations, published),
    )
    return [each for each in found if each]


def missing(verdicts: Verdicts) -> str:
    """Return how many runs are missing."""
    count = sum(verdicts.missing.values())
    return (
        f"**{count} of {verdicts.runs} runs are missing**, so no claim is judged yet; `make"
        " experiments` runs what is missing."
    )


def reproduction(numbers: Sequence[NumberResult], descriptions: Mapping[str, str]) -> str | None:
    """Return how many of the write-up's numbers are among ours; None without any.

    `descriptions` are those of configurations, by id.
    """
    if not numbers:
        return None
    counts = Counter(
        "accuracy" if each.metric in ACCURACIES else METRICS[each.metric].name for each in numbers
    )
    plural = {"loss": "losses", "accuracy": "accuracies"}
    kinds = listed(
        [f"{n} {kind if n == 1 else plural.get(kind, kind)}" for kind, n in counts.items()]
    )
    outside = [each for each in numbers if not each.reproduced]
    count = len({each.of for each in numbers})
    runs = "one run" if count == 1 else f"{count} single runs"
    alike = "look like one of our runs (95% prediction interval)"
    if not outside:
        return (
            f"**The write-up's numbers reproduce.** All {len(numbers)} ({kinds} of {runs}) {alike}."
        )
    among = listed(
        [f"the {number_name(each, descriptions)} ({number_among(each)})" for each in outside]
    )
    return (
        f"**Of the write-up's {len(numbers)} numbers** ({kinds} of {runs}),"
        f" **{len(numbers) - len(outside)} reproduce**: they {alike}. Outside: {among}."
        " About one in 20 is expected outside, even if nothing differs."
    )


def number_name(each: NumberResult, descriptions: Mapping[str, str]) -> str:
    """Return the name of a number of the write-up: `accuracy of Model 1`."""
    return f"{METRICS[each.metric].name} of {descriptions[each.of]}"


def number_among(each: NumberResult) -> str:
    """Return a number of the write-up and our interval: `0.0293; ours: 0.02431 to 0.03392`."""
    published = number(each.published, METRICS[each.metric].decimals)
    return f"{published}; ours: {interval(each.interval, number_decimals(each))}"


def number_decimals(each: NumberResult) -> int:
    """Return the decimals of our interval that show whether the write-up's number is in it."""
    return decimals_apart(each.interval, [each.published], METRICS[each.metric].decimals + 1)


def conclusions(whose: str, claims: Sequence[Claim], descriptions: Mapping[str, str]) -> str | None:
    """Return how many claims have each verdict, and which are not supported; None without any.

    `descriptions` are those of configurations, by id.
    """
    if not claims:
        return None
    counts = Counter(claim.verdict for claim in claims)
    supported, contradicted = counts["supported"], counts["contradicted"]
    noun = "claim" if len(claims) == 1 else "claims"
    verb = "is" if supported == 1 else "are"
    text = (
        f"**Of {whose} {len(claims)} {noun}, {supported} {verb} supported, {contradicted}"
        f" contradicted and {counts['inconclusive']} inconclusive.**"
    )
    others = [claim for claim in claims if claim.verdict != "supported"]
    return "\n  - ".join([text, *by_verdict(others, descriptions)])


def by_verdict(claims: Sequence[Claim], descriptions: Mapping[str, str]) -> list[str]:
    """Return a list of the claims with each verdict that there is: `Supported: “…”, “….”`.

    `descriptions` are those of configurations, by id.
    """
    titles: dict[str, list[str]] = {"supported": [], "contradicted": [], "inconclusive": []}
    for claim in claims:
        titles[claim.verdict].append(titled(claim, descriptions))
    return [f"{verdict.title()}: {', '.join(each)}." for verdict, each in titles.items() if each]


def titled(claim: Claim, descriptions: Mapping[str, str]) -> str:
    """Return the title of a claim and, if others do not decide it, the checks that do.

    `descriptions` are those of configurations, by id.
    """
    deciding = [check for check in claim.checks if check.verdict == claim.verdict]
    if len(deciding) == len(claim.checks):
        return f"“{claim.title}”"
    adjective = "open" if claim.verdict == "inconclusive" else claim.verdict
    verb = "is" if len(deciding) == 1 else "are"
    texts = listed([f"“{check_text(check, descriptions)}”" for check in deciding])
    return f"“{claim.title}” ({adjective} {verb} {texts})"


def check_text(check: CheckResult, descriptions: Mapping[str, str]) -> str:
    """Return a check as text, with the names of configurations: `Accuracy: Model 2 > Model 1`."""
    sign = {"higher": ">", "lower": "<", "not_higher": "≤", "equivalent": "≈"}[check.relation]
    sides = f"{descriptions[check.of]} {sign} {descriptions[check.than]}"
    return f"{metric_title(check.metric)}: {sides}"


def check_decimals(check: CheckResult, margin: float) -> int:
    """Return the decimals of a check's interval that show its ends beside 0 and the margin."""
    limits = (-margin, 0.0, margin)
    return decimals_apart(check.interval or (), limits, METRICS[check.metric].decimals + 1)


def answers(
    questions: Sequence[Claim],
    final: ConfigurationStats | None,
    published: WriteUp,
    descriptions: Mapping[str, str],
) -> str | None:
    """Return the verdicts on our own questions; None without any.

    If one is about the target, the answer is whether the configuration `final` reaches it.
    `descriptions` are those of configurations, by id.
    """
    about = [claim for claim in questions if any(check.than == TARGET for check in claim.checks)]
    if final is None or not about:
        return conclusions("our own", questions, descriptions)
    aim = published.target
    reaches = {"supported": "reaches", "contradicted": "misses"}.get(
        about[0].verdict, "is not shown to reach"
    )
    text = (
        f"**{title(final.model)} {reaches} the write-up's target**, more than {aim.accuracy}% with"
        f" fewer than {aim.parameters:,} parameters: {mean_and_sd(final)}% (mean ± SD of"
        f" {final.n} seeds) with {final.parameters:,}."
    )
    others = [claim for claim in questions if claim not in about]
    return " ".join([text, *by_verdict(others, descriptions)])


def lesson(configurations: Sequence[ConfigurationStats], published: WriteUp) -> str | None:
    """Return what single runs hide; None without two models of the write-up."""
    models = [each for each in configurations if each.default and each.model in published.models]
    wrong = wrongly_ranked(models)
    if not wrong:
        return None
    return (
        "**One run can mislead.** If two of the write-up's models are trained once each, the one"
        f" with the lower mean wins in {number(100 * mean(wrong), 0)}% of cases (mean of all pairs;"
        f" up to {number(100 * max(wrong), 0)}%). Reporting the best epoch on the test set adds"
        f" {number(mean_gain(configurations))} points (mean of all runs)."
    )


def mean_gain(configurations: Sequence[ConfigurationStats]) -> float:
    """Return the gain from choosing the best epoch on the test set, mean of all runs, in points."""
    runs = sum(each.n for each in configurations)
    return sum(each.n * each.gain for each in configurations) / runs


def mean_and_sd(each: ConfigurationStats) -> str:
    """Return the mean accuracy, in percent, ± the SD between seeds, in points, if it has one."""
    mean = number(each.accuracy)
    return mean if each.sd is None else f"{mean} ± {number(each.sd)}"

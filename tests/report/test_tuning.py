"""A search's trials: which one is chosen, and how it is shown."""

from sttreid.report.tuning import content, page, trials


def cells(**arms):
    """arm -> trial -> (train, validation) of each seed."""
    return {
        (arm, trial): [{"train_rank1": train, "validation_rank1": seen} for train, seen in seeds]
        for arm, found in arms.items()
        for trial, seeds in found.items()
    }


FOUND = cells(
    one={"slow": [(0.95, 0.3), (0.97, 0.4)], "fast": [(0.99, 0.5), (0.91, 0.4)]},
    two={"slow": [(0.95, 0.3), (0.95, 0.3)], "fast": [(0.99, 0.6), (0.85, 0.6)]},
    three={"slow": [(0.5, 0.2), (0.5, 0.2)], "fast": [(0.6, 0.2), (0.6, 0.2)]},
)


def test_the_best_on_validation_of_those_that_fit_is_chosen():
    table = trials(FOUND, 0.9)
    chosen = table[table["chosen"]].set_index("arm")["trial"].to_dict()
    assert chosen == {"one": "fast", "two": "slow", "three": "slow"}
    assert list(table["arm"].unique()) == ["one", "two", "three"]


def test_the_metrics_say_what_was_tried_and_chosen():
    told = content(trials(FOUND, 0.9), 2)
    assert told["seeds"] == 2
    assert told["arms"]["one"] == {
        "slow": {"validation_rank1": 0.35, "train_rank1": 0.95},
        "fast": {"validation_rank1": 0.45, "train_rank1": 0.91},
        "chosen": "fast",
    }


def test_the_page_marks_the_choice():
    text = page(trials(FOUND, 0.9), "campus", [7, 8], 0.9)
    assert "| one | 35.0 / 95.0 | **45.0 / 91.0** |" in text
    assert "the seeds 7, 8" in text

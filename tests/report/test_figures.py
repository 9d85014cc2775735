"""Figures carry the results' own numbers in their words, and say what they were computed from."""

import numpy as np
import pandas as pd
import pytest

from sttreid.report import figures


def test_every_figure_says_protocol_seeds_and_queries(found, results, cells, pictures):
    told = found(results, cells)
    said = "Protocol embedded; seeds 0, 1; queries: 100 campus, 200 winter, 300 station."
    for figure in (*figures.cross_domain(told), *figures.ablation(told)):
        assert figure.scope == said
        assert figure.words
        assert figure.caption
    (attention,) = figures.attention(told, pictures)
    assert attention.scope == (
        "Test of campus under protocol embedded; seed 0; 2 test tracklets, all of them queries, 4 frames."
    )
    assert [figure.scope for figure in figures.maps(told, pictures)] == [
        "No protocol is needed; seed 0; tracklets: 3 campus, 3 winter, 3 station, 3 unreal."
    ] * 2


def test_the_words_of_results_are_their_numbers(found, results, cells):
    rank1, average, settings, cmc = figures.cross_domain(found(results, cells))
    assert "winter to campus 35.0;" in rank1.words
    assert "winter to campus 17.5;" in average.words
    assert "untrained" not in rank1.words
    assert "in-domain rank-1 55.0 [" in settings.words
    assert "cross-domain 35.0 / 35.0 / 100.0" in cmc.words


def test_arms_that_are_not_comparable_are_hollow(found, results, cells):
    rank1, _ = figures.ablation(found(results, cells))
    assert rank1.svg.count('fill="var(--paper)"') == 2
    assert "vanilla in-domain 45.0 [" in rank1.words


def test_training_has_loss_accuracy_and_entropy_of_runs_and_arms(found, results, cells, histories):
    drawn = figures.training(found(results, cells), histories)
    assert [figure.title for figure in drawn] == [
        f"{what}, {which}"
        for which in ("runs", "ablation arms")
        for what in ("Training loss", "Rank-1 in training", "Attention entropy in training")
    ]
    assert drawn[0].words == "unreal from 9.00 to 3.00; campus from 9.00 to 3.00."
    assert "vanilla validation from 0.30 to 0.60" in drawn[4].words
    assert drawn[5].words == "vanilla from 1.20 to 1.40."  # the CNN attends to nothing


def test_seeds_of_a_run_are_averaged(found, results, cells, histories):
    histories["unreal-1"] = histories["unreal-0"].assign(loss=lambda table: table["loss"] + 2)
    drawn = figures.training(found(results, cells), histories)
    assert "unreal from 10.00 to 4.00" in drawn[0].words


def test_attention_by_visibility_is_the_mean_of_frames(found, results, cells, pictures):
    (figure,) = figures.attention(found(results, cells), pictures)
    assert figure.words == (
        "vanilla, < -20 points: 0.500; vanilla, > 20 points: 1.500;"
        " spatial, < -20 points: 1.000; spatial, > 20 points: 1.000."
    )


def test_nothing_is_drawn_where_no_visibility_is_known(found, results, cells, pictures):
    pictures.frames["visibility"] = np.nan
    assert figures.attention(found(results, cells), pictures) == []


def test_the_table_of_attention_has_a_row_a_network(pictures):
    rows = figures.attention_table(pictures).splitlines()[2:]
    shared = f"{np.exp(0.9):.2f}"
    assert rows[0].startswith(f"| vanilla | {shared} [{shared}, {shared}] | 20.0 [")
    assert "| 90.0 [90.0, 90.0] | 50.0 [" in rows[0]  # the second head on the first frame; half off even
    assert "| 67.5 [" in rows[1]


def test_people_are_drawn_not_frames():
    table = pd.DataFrame({"identity": [1, 1, 1, 2], "x": [0.0, 0.0, 0.0, 1.0]})
    one = figures.people(table, "x")
    assert one.value == pytest.approx(0.25)
    assert (one.low, one.high) == (0, 1)

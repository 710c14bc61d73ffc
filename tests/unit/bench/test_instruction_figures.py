"""The committed figures of bench/instructions.toml, and what counts mean beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.instruction_figures import Figures, compared, read, written

HERE = "CPython 3.11.7 (GCC 12.2.0, shared), glibc 2.36, x86_64"


def committed(**counts: int) -> Figures:
    return Figures(HERE, counts)


@pytest.mark.parametrize("count", [100_000, 104_900, 105_000, 96_000])
def test_what_is_equal_or_little_more_or_less_is_good(count):
    comparison = compared(committed(miss=count), committed(miss=100_000))

    assert comparison.is_good
    assert comparison.lines[-1] == "No request takes too many more instructions."
    assert len(comparison.lines) == 2


@pytest.mark.parametrize("count", [105_001, 105_100, 300_000])
def test_more_than_five_per_cent_more_is_bad_and_is_named(count):
    comparison = compared(committed(hit=50_000, miss=count), committed(hit=50_000, miss=100_000))

    assert not comparison.is_good
    assert comparison.lines[-1].startswith("Too many more, or without a figure: miss.")


@pytest.mark.parametrize(("count", "is_good"), [(115_000, True), (115_001, False)])
def test_a_sign_in_may_vary_by_more(count, is_good):
    now, before = Figures(HERE, {"sign-in": count}), Figures(HERE, {"sign-in": 100_000})

    assert compared(now, before).is_good is is_good


def test_each_line_says_the_count_the_difference_and_the_figure():
    first, second, *_ = compared(
        committed(hit=51_000, miss=98_000), committed(hit=50_000, miss=100_000)
    ).lines

    assert first == "hit: 51,000 instructions, +2.0% of 50,000"
    assert second == "miss: 98,000 instructions, -2.0% of 100,000"


def test_much_less_is_good_and_asks_for_a_new_figure():
    comparison = compared(committed(miss=94_900), committed(miss=100_000))

    assert comparison.is_good
    assert [line for line in comparison.lines if line.startswith("Much lower: miss.")]


def test_a_count_without_a_figure_is_bad():
    comparison = compared(committed(hit=1, miss=1), committed(hit=1))

    assert not comparison.is_good
    assert "miss: 1 instructions, and no figure is committed" in comparison.lines


def test_a_figure_without_a_count_is_bad():
    comparison = compared(committed(hit=1), committed(hit=1, miss=1))

    assert not comparison.is_good
    assert "miss: a figure is committed, and nothing was counted" in comparison.lines


def test_another_environment_is_not_compared_and_says_so():
    elsewhere = Figures(HERE.replace("3.11.7", "3.11.2"), {"miss": 300_000})

    comparison = compared(elsewhere, committed(miss=100_000))

    assert comparison.is_good
    assert comparison.lines == (
        "miss: 300,000 instructions",
        f"Counted with {elsewhere.made_with}.",
        f"Committed are figures of {HERE}.",
        "NOT COMPARED, because the environments differ.",
    )


def test_what_is_written_is_read_again():
    figures = Figures(HERE, {"subrequest": 79_125, "proxied 1 KB": 122_405})

    assert read(written(figures)) == figures


@pytest.mark.parametrize(
    "text",
    [
        "",
        "made_with = 1\n[instructions]\n",
        'made_with = "x"\ninstructions = 5',
        'made_with = "x"\n[instructions]\nmiss = "5"',
        'made_with = "x"\n[instructions]\nmiss = true',
        'made_with = "x"\n[instructions]\nmiss = 0',
        "made_with = ",
    ],
)
def test_what_are_no_figures_is_refused(text):
    with pytest.raises(ValueError):
        read(text)


def test_the_committed_figures_can_be_read():
    file = Path(__file__).parents[3] / "bench" / "instructions.toml"

    assert read(file.read_text()).counts.keys() == {"subrequest", "proxied 1 KB", "miss", "sign-in"}

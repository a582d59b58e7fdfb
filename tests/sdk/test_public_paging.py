"""Paged sequences: what is loaded when, over a cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import InvalidInput
from weighbridge.sdk.public.paging import Page, Paged


class Pages:
    """A source of numbers that notes how often it was asked."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.calls = 0

    def __call__(self, cursor: str | None, limit: int) -> Page[int]:
        self.calls += 1
        start = int(cursor or 0)
        end = min(start + limit, self.total)
        return Page(range(start, end), str(end) if end < self.total else None)


@pytest.mark.parametrize("per_page", [0, -1, 1_001])
def test_a_page_size_out_of_range_is_refused(per_page: int) -> None:
    with pytest.raises(InvalidInput, match="per_page"):
        Paged(Pages(3), per_page=per_page)


def test_nothing_is_fetched_before_it_is_needed() -> None:
    pages = Pages(10)
    Paged(pages, per_page=2)
    assert pages.calls == 0


def test_a_slice_loads_only_the_pages_it_covers() -> None:
    pages = Pages(1_000)
    assert list(Paged(pages, per_page=50)[:50]) == list(range(50))
    assert pages.calls == 1


def test_the_count_is_asked_for_instead_of_loading_everything() -> None:
    pages = Pages(1_000)
    assert len(Paged(pages, per_page=50, count=lambda: 1_000)) == 1_000
    assert pages.calls == 0


def test_an_index_past_the_end_raises() -> None:
    with pytest.raises(IndexError):
        Paged(Pages(3), per_page=2)[3]


def test_an_empty_sequence_is_false() -> None:
    assert not Paged(Pages(0))
    assert Paged(Pages(1))


@given(total=st.integers(0, 40), per_page=st.integers(1, 12), cut=st.slices(40))
def test_it_reads_as_a_list_does(total: int, per_page: int, cut: slice) -> None:
    expected = list(range(total))
    paged = Paged(Pages(total), per_page=per_page)
    assert list(paged[cut]) == expected[cut]
    assert list(paged) == expected
    assert len(paged) == total
    assert [paged[index] for index in range(-total, total)] == expected * 2

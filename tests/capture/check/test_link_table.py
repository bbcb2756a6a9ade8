"""Links are found by both their ends, in the order of the places where values are handed back."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check.link_table import Link, LinkTable

NUMBERS = st.integers(0, 3)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=2)
LINKS = st.dictionaries(st.tuples(NUMBERS, NUMBERS), st.builds(Link, NUMBERS, TEXTS, NUMBERS, TEXTS, TEXTS))


@given(LINKS)
def test_links_are_found_by_both_ends(links: dict[tuple[int, int], Link]) -> None:
    table = LinkTable()
    for place, link in links.items():
        table.add(place, link)
    ordered = [link for _, link in sorted(links.items(), key=lambda found: found[0])]
    assert list(table) == ordered
    for number in range(4):
        assert table.sources_in(number) == {link.source for link in ordered if link.source_entry == number}
        assert table.to_entry(number) == [link for link in ordered if link.target_entry == number]

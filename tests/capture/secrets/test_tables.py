"""Tables in any notation."""

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.rules import parse_rules
from proxy_policies.capture.secrets.tables import ColumnTable, cells_between, in_tables, stripped

TEXT = "joe hunter2"


def test_a_column_for_people_is_replaced_if_its_cells_are_values() -> None:
    decider = Decider(parse_rules(()), lambda secret, rule: "~", is_response=False)
    assert in_tables(TEXT, [ColumnTable(["user", "password"], [[(0, 3), (4, 11)]], False)], decider) == "joe ~"
    assert in_tables(TEXT, [ColumnTable(["password", "user"], [[(0, 3), (4, 11)]], False)], decider) == TEXT
    assert in_tables(TEXT, [ColumnTable(["password", "user"], [[(0, 3), (4, 11)]], True)], decider) == "~ hunter2"


def test_a_name_that_is_kept_is_not_replaced() -> None:
    decider = Decider(parse_rules(["keep:password"]), lambda secret, rule: "~", is_response=False)
    assert in_tables(TEXT, [ColumnTable(["user", "password"], [[(0, 3), (4, 11)]], True)], decider) == TEXT


def test_cells_have_no_spaces_or_quotes_around_them() -> None:
    assert cells_between("a, b ,c", [-1, 1, 5, 7]) == [(0, 1), (3, 4), (6, 7)]
    assert stripped("  'a b' ", 0, 8) == (3, 6)
    assert stripped("   ", 0, 3) in {(0, 0), (3, 3)}

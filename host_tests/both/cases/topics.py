"""Cases of topics.py and topic_rules.py; a Response's topic is in cases_router.py."""

from node.shared import topic_rules, topics


def case_base() -> None:
    """The longest topic that a node uses has 7 slashes."""
    base = topics.base("limpet", "home", "desk", "climate", "node-1")
    assert base == "limpet/home/desk/climate/node-1"
    longest = base + "/" + topics.RESPONSE + "/a"
    assert longest.count("/") == 7


def case_part() -> None:
    """A level of a topic has 1 to 32 of a-z, 0-9 and hyphens; the rule it breaks is named."""
    for good in ("a", "0", "node-1", "a-", "x" * 32, "3-a--b"):
        assert topic_rules.fault(good) is None, good
    for bad, word in (
        ("", "empty"),
        ("x" * 33, "32"),
        ("/a", "leading slash"),
        ("a/b", "slash"),
        ("a/", "slash"),
        ("+", "wildcard"),
        ("a#", "wildcard"),
        ("Node", "upper case"),
        ("-a", "start"),
        ("a_b", "a-z"),
        ("a b", "a-z"),
        ("a.b", "a-z"),
        ("..", "a-z"),
        ("a\n", "a-z"),
        ("a\x00", "a-z"),
        ("caf\u00e9", "a-z"),
        ("\u0661", "a-z"),
        ("$sys", "a-z"),
    ):
        fault = topic_rules.fault(bad)
        assert fault is not None, bad
        assert word in fault, (bad, fault)

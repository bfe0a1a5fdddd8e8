import pytest

from masthead import errors

FAMILY = [
    getattr(errors, name)
    for name in vars(errors)
    if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), errors.MastheadError)
]


@pytest.mark.parametrize("kind", FAMILY)
def test_each_error_can_be_made_from_one_message(kind: type[errors.MastheadError]) -> None:
    assert str(kind("it broke")) == "it broke"


def test_place_comes_first_and_remedy_on_its_own_line() -> None:
    assert str(errors.InputError("not a recording", "a.pcap", "name another")) == (
        "a.pcap: not a recording\n  name another"
    )


def test_exit_codes_tell_wrong_from_impossible() -> None:
    codes = {kind.__name__: kind.exit_code for kind in FAMILY}
    assert {name for name, code in codes.items() if code == 3} == {"NotPermittedError", "NotSupportedError"}
    assert set(codes.values()) == {2, 3}

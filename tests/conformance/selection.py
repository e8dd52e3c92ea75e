"""The list of the tests that are looked at: their areas, their names in the package, and whether they pass."""

import dataclasses
import pathlib

LIST = pathlib.Path(__file__).with_name("tests.txt")
HEAD = "# area, whether it passes, module in dbt.tests.adapter::class::test; run.py --update writes the second column\n"


@dataclasses.dataclass(order=True)
class Selected:
    area: str
    name: str
    passes: bool

    @property
    def module(self):
        return self.name.split("::")[0]

    @property
    def upstream(self):
        """Module and class."""
        return self.name.rpartition("::")[0]


def read():
    lines = [line.split("\t") for line in LIST.read_text().splitlines() if not line.startswith("#")]
    return [Selected(area, name, {"passes": True, "differs": False}[state]) for area, state, name in lines]


def write(tests):
    lines = [f"{test.area}\t{'passes' if test.passes else 'differs'}\t{test.name}\n" for test in sorted(tests)]
    LIST.write_text(HEAD + "".join(lines))

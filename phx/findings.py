"""What a check found: one line for people, one object for tools; the verdict decides whether trading may begin."""

from enum import StrEnum

from msgspec import Struct

from phx.process import EXIT_OK, EXIT_STAY_DOWN

EXIT_WARNINGS = 1


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"  # to be known; trading goes on
    FAIL = "fail"  # may cost money: trading does not begin


class Finding(Struct, frozen=True):
    """heals: a failure that may pass by itself, so that waiting is worth while. reduces: one that says nothing against
    closing what is open: with a position trading begins, but only to reduce it."""

    name: str
    verdict: Verdict
    found: str
    expected: str = ""
    advice: str = ""
    heals: bool = False
    reduces: bool = False

    @property
    def line(self) -> str:
        """Return everything in one line."""
        text = f"{self.name}: {self.found}"
        text += f", expected {self.expected}" if self.expected and self.verdict != Verdict.OK else ""
        return text + (f"; {self.advice}" if self.advice and self.verdict != Verdict.OK else "")


def judged(
    name: str, good: bool, found, expected="", advice: str = "", worst=Verdict.FAIL, heals=False, reduces=False
) -> Finding:
    """Return a finding that is ok if `good`, else `worst`."""
    return Finding(name, Verdict.OK if good else worst, str(found), str(expected), advice, heals, reduces)


def table(findings: list[Finding]) -> list[str]:
    """Return one line per finding, and the sum."""
    width = max((len(f.name) for f in findings), default=0)
    lines = []
    for f in findings:
        rest = f.line.removeprefix(f"{f.name}: ")
        lines.append(f"{f.verdict:<4}  {f.name:<{width}}  {rest}")
    counts = {verdict: sum(f.verdict == verdict for f in findings) for verdict in Verdict}
    return [*lines, "", ", ".join(f"{count} {verdict}" for verdict, count in counts.items())]


def exit_status(findings: list[Finding]) -> int:
    """Return 0 when all is well, 1 for warnings alone, 78 for anything that keeps phx from trading."""
    verdicts = {f.verdict for f in findings}
    if Verdict.FAIL in verdicts:
        return EXIT_STAY_DOWN
    return EXIT_WARNINGS if Verdict.WARN in verdicts else EXIT_OK

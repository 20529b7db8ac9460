"""Changes laid over the venue's attributes, each of which can be taken away again, in any order."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Laid:
    """One attribute: what it is without changes, what it shows with them, and whose they are."""

    target: object
    attribute: str
    base: object
    shown: object
    changes: list[tuple[object, Callable]] = field(default_factory=list)

    def show(self) -> None:
        value = self.base
        for _, change in self.changes:
            value = change(value)
        setattr(self.target, self.attribute, value)
        self.shown = value


class Overlay:
    """What somebody else has set since stays: a fault that ends takes back its own change only."""

    def __init__(self):
        self._laid: dict[tuple[int, str], Laid] = {}

    def lay(self, owner, target, attribute: str, change: Callable) -> None:
        """Change an attribute. change: its value without this change → its value with it."""
        current = getattr(target, attribute)
        laid = self._laid.get((id(target), attribute))
        if laid is None or current != laid.shown:
            laid = self._laid[id(target), attribute] = Laid(target, attribute, current, current)
        laid.changes.append((owner, change))
        laid.show()

    def lift(self, owner) -> None:
        """Take back all changes of an owner."""
        for key, laid in list(self._laid.items()):
            kept = [(other, change) for other, change in laid.changes if other is not owner]
            if len(kept) == len(laid.changes):
                continue
            laid.changes = kept
            if getattr(laid.target, laid.attribute) == laid.shown:
                laid.show()
            if not kept:
                del self._laid[key]

"""An architecture is a value: a space's name and its genes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

Gene = int | float | str


@dataclass(frozen=True)
class Architecture:
    """A point of a search space; hashable, comparable, JSON.

    Attributes:
        space: Name of the space, as `spaces.load` knows it.
        genes: (name, value) pairs in the order in which the space declares them.
    """

    space: str
    genes: tuple[tuple[str, Gene], ...]

    def __getitem__(self, gene: str) -> Gene:
        return self.mapping[gene]

    @cached_property
    def mapping(self) -> Mapping[str, Gene]:
        """The genes by name."""
        return dict(self.genes)

    @cached_property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the JSON form: 64 bits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """One line of JSON, the same in every process."""
        return json.dumps({"space": self.space, "genes": dict(self.genes)}, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> "Architecture":
        """The inverse of `to_json`."""
        return Architecture.from_dict(json.loads(text))

    @staticmethod
    def from_dict(value: Mapping[str, object]) -> "Architecture":
        """From the parsed JSON form."""
        genes = value["genes"]
        assert isinstance(genes, dict)
        return Architecture(str(value["space"]), tuple(genes.items()))

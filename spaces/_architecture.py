"""The value type of an architecture: the name of a space and its genes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

Gene = int | float | str


@dataclass(frozen=True)
class Architecture:
    """A point of a search space. It is hashable, comparable and serialisable to JSON.

    Attributes:
        space: Name of the space, as accepted by `spaces.load`.
        genes: (name, value) pairs in the order in which the space declares them.
    """

    space: str
    genes: tuple[tuple[str, Gene], ...]

    def __getitem__(self, gene: str) -> Gene:
        return self.mapping[gene]

    @cached_property
    def mapping(self) -> Mapping[str, Gene]:
        """Genes by name."""
        return dict(self.genes)

    @cached_property
    def id(self) -> str:
        """Identifier: the first 16 hexadecimal digits (64 bits) of the SHA-256 of the JSON form."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the architecture as one line of JSON, which is identical in every process."""
        return json.dumps({"space": self.space, "genes": dict(self.genes)}, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> "Architecture":
        """Create an architecture from the result of `to_json`."""
        return Architecture.from_dict(json.loads(text))

    @staticmethod
    def from_dict(value: Mapping[str, object]) -> "Architecture":
        """Create an architecture from the parsed JSON form."""
        genes = value["genes"]
        assert isinstance(genes, dict)
        return Architecture(str(value["space"]), tuple(genes.items()))

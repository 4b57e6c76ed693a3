"""Ids of any hashable kind at the edge, int32 codes inside."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import CodeArray

UNKNOWN = -1
"""The code of an id that is not in the vocabulary."""
LONGEST_ID = 1_000
"""Letters of an id, at most: an id names something, it is not the thing."""
_BITS_64 = 2**63
_SHOWN = 3
_ROWS = 10


@final
@dataclass(frozen=True, slots=True, repr=False)
class Vocabulary(Shown):
    """An ordered set of ids; an id's code is its place.

    Args:
        ids: Distinct hashable ids; numbers and texts of NumPy and of enumerations become those of
            Python, which are equal and can be written.

    Raises:
        InvalidDataError: If an id repeats, is None, NaN or infinite, or a whole number beyond 64
            bits.

    Examples:
        >>> users = Vocabulary(("ann", "bob"))
        >>> users.encode(["bob", "ann", "eve"], unknown="code").tolist()
        [1, 0, -1]
        >>> users.decode([1, 0])
        ['bob', 'ann']
    """

    ids: tuple[Hashable, ...] = ()
    _index: dict[Hashable, int] = field(init=False, repr=False, compare=False)
    _longest: int = field(init=False, repr=False, compare=False)
    _sound: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(check.many("ids", self.ids)))
        kinds = set(map(type, self.ids))
        if any(issubclass(kind, np.generic | str | int) for kind in kinds - {str, int, bool}):
            object.__setattr__(self, "ids", tuple(map(_plain, self.ids)))
            kinds = set(map(type, self.ids))
        _check_ids(self.ids, kinds)
        index = dict(zip(self.ids, range(len(self.ids)), strict=True))
        if len(index) != len(self.ids):
            raise InvalidDataError(
                f"Ids of a vocabulary must differ, got {len(self.ids)} ids of which "
                f"{len(index)} are distinct."
            )
        texts = _of_kind(self.ids, kinds, str)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_sound", False)
        object.__setattr__(self, "_longest", max(map(len, texts), default=0))

    @classmethod
    def of(cls, ids: Iterable[Hashable]) -> Self:
        """Return the vocabulary of `ids` in order of first appearance; repeats are dropped."""
        listed = check.many("ids", ids)
        try:
            return cls(tuple(dict.fromkeys(listed)))
        except TypeError as error:
            odd = next(each for each in listed if not isinstance(each, Hashable))
            raise InvalidDataError(f"An id must be hashable, got {shown(odd)}.") from error

    @classmethod
    def factorize(cls, ids: Iterable[Hashable] | npt.NDArray[Any]) -> tuple[Self, CodeArray]:
        """Return the vocabulary of `ids`, in order of first appearance, and the code of each.

        Integer and text arrays go through a sort in NumPy, anything else through a dict.
        """
        if isinstance(ids, np.ndarray) and ids.dtype.kind in "iuUS":
            distinct, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
            order = np.argsort(first, kind="stable")
            rank = np.empty(order.size, dtype=np.int32)
            rank[order] = np.arange(order.size, dtype=np.int32)
            return cls(tuple(distinct[order].tolist())), rank[inverse.reshape(-1)]
        listed = check.many("ids", ids)
        vocabulary = cls.of(listed)
        return vocabulary, vocabulary.encode(listed)

    def encode(
        self, ids: Iterable[Hashable], *, unknown: str = "error", name: str = "id"
    ) -> CodeArray:
        """Return the code of every id.

        Args:
            ids: Ids, each of a hashable kind.
            unknown: `"error"`, or `"code"` to give an unknown id the code -1.
            name: What the ids stand for, for the error message.

        Raises:
            UnknownNameError: If an id is unknown and `unknown` is `"error"`.
        """
        listed = check.many(f"{name}s", ids)
        found = map(self._index.get, listed, (UNKNOWN for _ in listed))
        try:
            codes = np.fromiter(found, dtype=np.int32, count=len(listed))
        except TypeError:
            odd = next(each for each in listed if not isinstance(each, Hashable))
            raise InvalidParameterError(name, odd, "an id, such as a text or a number") from None
        if unknown == "error" and (codes == UNKNOWN).any():
            raise UnknownNameError(name, listed[int(np.argmax(codes == UNKNOWN))], self.ids)
        return codes

    def checked(self, name: str) -> Self:
        """Return the vocabulary when its ids can be written down and read back as ids.

        Raises:
            InvalidDataError: If one is neither text nor a whole number, has more than
                `LONGEST_ID` letters, or is a text that nothing can store.
        """
        if self._sound:  # ids never change: once is enough
            return self
        if not set(map(type, self.ids)) <= {str, int}:
            odd = next(id_ for id_ in self.ids if type(id_) not in {str, int})
            raise InvalidDataError(
                f"An id of {name} must be text or a whole number, got {shown(odd)}; "
                "write other ids as text first."
            )
        if self._longest > LONGEST_ID:
            raise InvalidDataError(
                f"An id of {name} must have at most {LONGEST_ID} letters, got {self._longest:,}."
            )
        for id_ in self.ids:
            if type(id_) is str and ("\0" in id_ or not (id_.isascii() or _is_unicode(id_))):
                raise InvalidDataError(
                    f"An id of {name} must have no NUL and no lone surrogate, got {shown(id_)}."
                )
        object.__setattr__(self, "_sound", True)
        return self

    def decode(self, codes: npt.ArrayLike) -> list[Any]:
        """Return the ids of `codes`, in their order; each code must be in range."""
        ids = self.ids
        return [ids[code] for code in np.asarray(codes).tolist()]

    def extend(self, ids: Iterable[Hashable]) -> Self:
        """Return a vocabulary in which old codes stay and new ids follow."""
        return type(self)(tuple(dict.fromkeys((*self.ids, *check.many("ids", ids)))))

    def translate(self, target: Vocabulary) -> CodeArray:
        """Return, for each of our codes, the code of the same id in `target` (-1 if absent)."""
        if target is self or target.ids == self.ids:
            return np.arange(len(self), dtype=np.int32)
        return target.encode(self.ids, unknown="code")

    def fingerprint(self) -> str:
        """Return a hash of the ids and their order, as 64 hexadecimal digits."""
        return content_hash([f"{type(id_).__name__}:{id_}" for id_ in self.ids])

    @override
    def title(self) -> str:
        first = ", ".join(shown(id_) for id_ in self.ids[:_SHOWN])
        more = f", … and {len(self) - _SHOWN:,} more" if len(self) > _SHOWN else ""
        return f"Vocabulary of {len(self):,}: {first}{more}"

    @override
    def table(self) -> Table:
        """Return the first ids with their codes."""
        rows = tuple((code, shown(id_)) for code, id_ in enumerate(self.ids[:_ROWS]))
        return Table(head=("code", "id"), rows=rows, title=self.title())

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._index

    def __getitem__(self, code: int) -> Any:
        return self.ids[code]


def _check_ids(ids: tuple[Hashable, ...], kinds: set[type]) -> None:
    """Refuse what no log could hold and nobody could find again; by kind, which costs little."""
    if type(None) in kinds:
        raise InvalidDataError("An id must not be None.")
    whole = _of_kind(ids, kinds, int)
    for id_ in (min(whole, default=0), max(whole, default=0)):
        if not -_BITS_64 <= id_ < _BITS_64:
            raise InvalidDataError(f"An id must be within 64 bits, got {shown(id_)}.")
    if not all(map(math.isfinite, _of_kind(ids, kinds, float))):
        raise InvalidDataError("An id must not be NaN or infinite.")


def _of_kind(ids: tuple[Hashable, ...], kinds: set[type], kind: type) -> tuple[Any, ...]:
    """Return the ids of a kind, as they are where all are of it."""
    if kind not in kinds:
        return ()
    return ids if len(kinds) == 1 else tuple(id_ for id_ in ids if isinstance(id_, kind))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(id_: Hashable) -> Hashable:
    """An instant stays what it is: its number alone would say less."""
    if isinstance(id_, str) and type(id_) is not str:
        return str.__str__(id_)  # of an enumeration, the value and not the name
    if isinstance(id_, int) and type(id_) not in {int, bool}:
        return int(id_)
    if not isinstance(id_, np.generic) or id_.dtype.kind in "mM":
        return id_
    plain: Hashable = id_.item()
    return plain

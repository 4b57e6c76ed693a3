"""Broken sources and stores of feedback, each with one fault."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from siamrec.data import NO_TIME, Feedback, Vocabulary
from siamrec.feedback import MemoryFeedback
from siamrec.testing.feedback import FeedbackSinkContract, FeedbackSourceContract


class RightSource:
    def __init__(self, feedback):
        self.feedback = self.taken(feedback)

    def taken(self, feedback):
        return feedback

    def read(self, *, since=None, until=None, batch_rows=65_536):
        yield from MemoryFeedback(self.feedback).read(
            since=since, until=until, batch_rows=batch_rows
        )


class DropsWeight(RightSource):
    def taken(self, feedback):
        return replace(feedback, weight=np.ones_like(feedback.weight))


class DropsQueries(RightSource):
    def taken(self, feedback):
        return replace(feedback, query=None, queries=Vocabulary())


class DropsContext(RightSource):
    def taken(self, feedback):
        return replace(feedback, context={})


class DropsDecisions(RightSource):
    def taken(self, feedback):
        return replace(feedback, decision=None)


class DropsPropensities(RightSource):
    def taken(self, feedback):
        return replace(feedback, propensity=None)


class DropsPositions(RightSource):
    def taken(self, feedback):
        return replace(feedback, position=None)


class AllRatings(RightSource):
    def taken(self, feedback):
        return replace(feedback, kind=np.zeros_like(feedback.kind))


class NumbersAsText(RightSource):
    def taken(self, feedback):
        return replace(feedback, users=Vocabulary(tuple(map(str, feedback.users.ids))))


class InMicroseconds(RightSource):
    def taken(self, feedback):
        timed = feedback.time != NO_TIME
        return replace(feedback, time=np.where(timed, feedback.time // 1000 * 1000, feedback.time))


class UntimedLeftOut(RightSource):
    def taken(self, feedback):
        return feedback.where(feedback.time != NO_TIME)


class UntimedIsEpoch(RightSource):
    def taken(self, feedback):
        return replace(feedback, time=np.where(feedback.time == NO_TIME, 0, feedback.time))


class AsWritten(RightSource):
    def read(self, *, since=None, until=None, batch_rows=65_536):
        for batch in super().read(since=since, until=until, batch_rows=batch_rows):
            yield batch.where(np.arange(len(batch))[::-1])


class ReadsOnce(RightSource):
    def read(self, *, since=None, until=None, batch_rows=65_536):
        feedback, self.feedback = self.feedback, self.feedback.where(np.zeros(0, dtype=np.int64))
        yield from MemoryFeedback(feedback).read(since=since, until=until, batch_rows=batch_rows)


class OneBatch(RightSource):
    def read(self, *, since=None, until=None, batch_rows=65_536):
        assert batch_rows
        yield from super().read(since=since, until=until)


class UntilIncluded(RightSource):
    def read(self, *, since=None, until=None, batch_rows=65_536):
        end = None if until is None else until + 1
        yield from super().read(since=since, until=end, batch_rows=batch_rows)


class EmptyBatches(RightSource):
    def read(self, *, since=None, until=None, batch_rows=65_536):
        yield from super().read(since=since, until=until, batch_rows=batch_rows)
        yield self.feedback.where(np.zeros(0, dtype=np.int64))


class AnyBatchRows(RightSource):
    def read(self, *, since=None, until=None, batch_rows=65_536):
        yield from super().read(since=since, until=until, batch_rows=max(batch_rows, 1))


class RoundedValues(RightSource):
    def taken(self, feedback):
        return replace(feedback, value=np.round(feedback.value))


class LowerCaseIds(RightSource):
    """Writes ids small: all ids of the sample are."""

    def taken(self, feedback):
        lower = tuple(id_.lower() if isinstance(id_, str) else id_ for id_ in feedback.users.ids)
        return replace(feedback, users=Vocabulary(lower))


class SourceCase(FeedbackSourceContract):
    made: type

    def make(self, feedback):
        return self.made(feedback)


class RightSink:
    def __init__(self):
        self.rows = {}

    def key(self, feedback, row):
        one = feedback.where(np.array([row])).compacted()
        return one.fingerprint()

    def write(self, feedback):
        accepted = 0
        for row in range(len(feedback)):
            key = self.key(feedback, row)
            accepted += key not in self.rows
            self.rows.setdefault(key, feedback.where(np.array([row])))
        return SimpleNamespace(accepted=accepted, duplicates=len(feedback) - accepted)

    def read(self, *, since=None, until=None, batch_rows=65_536):
        ordered = [self.rows[key] for key in sorted(self.rows)]
        if ordered:
            whole = Feedback.concat(ordered)
            yield from MemoryFeedback(whole).read(since=since, until=until, batch_rows=batch_rows)
        elif batch_rows < 1:
            yield from MemoryFeedback(Feedback.of(user=[], item=[])).read(batch_rows=batch_rows)


class StoresTwice(RightSink):
    def key(self, feedback, row):
        return f"{len(self.rows):09}"


class CountsAllAsNew(RightSink):
    def write(self, feedback):
        super().write(feedback)
        return SimpleNamespace(accepted=len(feedback), duplicates=0)


class OneForEachPair(RightSink):
    """An item of a user is kept once, whatever was said of it later."""

    def key(self, feedback, row):
        return f"{feedback.users.ids[feedback.user[row]]}|{feedback.item[row] % 2}"


class InOrderOfWriting(RightSink):
    def read(self, *, since=None, until=None, batch_rows=65_536):
        if self.rows:
            yield Feedback.concat(list(self.rows.values()))


class SinkCase(FeedbackSinkContract):
    made: type

    def empty(self):
        return self.made()


KINDS = {SourceCase: RightSource, SinkCase: RightSink}

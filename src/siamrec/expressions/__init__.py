"""One small typed language for who takes part, what may be shown and which rule applies."""

from siamrec.expressions._parse import plain
from siamrec.expressions.columns import Columns
from siamrec.expressions.expression import Expression

__all__ = ["Columns", "Expression", "plain"]

"""Print what the rooms without torch and their tests need; `lowest` pins the versions declared."""

import re
import sys
import tomllib
from pathlib import Path

HEAVY = {"datasets", "sentence-transformers", "tokenizers", "torch", "transformers"}
TOOLS = {"duckdb", "hypothesis", "pandas", "polars", "pytest", "pytest-xdist"}

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for line in [*project["dependencies"], *extras["testing"], *extras["dev"]]:
    name, lowest = re.fullmatch(r"([\w-]+)(?:\[.*\])?(?:>=([\d.]+))?.*", line).groups()
    if name in TOOLS or (line in project["dependencies"] and name not in HEAVY):
        print(f"{name}=={lowest}" if sys.argv[1:] == ["lowest"] else name)

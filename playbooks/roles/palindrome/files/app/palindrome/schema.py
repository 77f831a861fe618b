"""The migrations that this release carries."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "migrations"
MIGRATION_LOCK = 0x70616C69


@dataclass(frozen=True)
class Migration:
    version: int
    name: str
    statements: str

    def digest(self):
        return hashlib.sha256(self.statements.encode()).hexdigest()


def migrations(folder=FOLDER):
    """Returns them in order; a gap or two of one number is a mistake in the release."""
    found = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        matched = re.fullmatch(r"(\d{3})_(\w+)\.sql", path.name)
        if not matched:
            raise ValueError(f"{path.name}: a migration is called 001_name.sql")
        found.append(Migration(int(matched[1]), matched[2], path.read_text()))
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered 1 to {len(found)}: {[m.version for m in found]}")
    return found


_NEWEST = len(migrations())


def newest():
    return _NEWEST

"""What an import found and did: for people as text, for programs as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ROWS = ("users", "sessions", "videos", "audio", "resizes", "conversions")
Ending = Literal["imported", "queued", "already here", "skipped", "broken"]
ENDINGS: tuple[Ending, ...] = ("imported", "queued", "already here", "skipped", "broken")
Level = Literal["broken", "skipped", "note"]
_HEADINGS: dict[Level, str] = {
    "broken": "Not imported, because something is wrong",
    "skipped": "Not imported, on purpose",
    "note": "Imported, and worth knowing",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. `index` is the record's place in its file, from 0; `times` counts equal ones."""

    level: Level
    file: str
    index: int | None
    what: str
    reason: str
    times: int = 1

    def line(self) -> str:
        place = self.file if self.index is None else f"{self.file}[{self.index}]"
        count = f" ({self.times} times)" if self.times > 1 else ""
        return f"{' '.join(filter(None, (place, self.what)))}: {self.reason}{count}"


@dataclass(slots=True)
class Report:
    """Filled while the import runs. Every record ends in exactly one column of the table."""

    run: str
    dry_run: bool
    source: str
    backup: str | None = None
    backup_is_new: bool = False
    seconds: float = 0.0
    bytes_copied: int = 0
    findings: list[Finding] = field(default_factory=list)
    _counts: dict[str, Counter[Ending]] = field(default_factory=lambda: {row: Counter() for row in ROWS})

    def count(self, row: str, ending: Ending, number: int = 1) -> None:
        self._counts[row][ending] += number

    def tell(
        self, level: Level, file: str, index: int | None, what: str, reason: str, *, times: int = 1
    ) -> None:
        self.findings.append(Finding(level, file, index, _plain(what), _plain(reason), times))

    def broken(self, row: str, file: str, index: int | None, what: str, reason: str) -> None:
        """Count a record as broken and say why."""
        self.count(row, "broken")
        self.tell("broken", file, index, what, reason)

    @property
    def changed(self) -> bool:
        return any(row["imported"] or row["queued"] for row in self._counts.values())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """For each kind of record how many there were, and how they ended."""
        return {
            row: {"found": sum(counter.values()), **{ending: counter[ending] for ending in ENDINGS}}
            for row, counter in self._counts.items()
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "dry_run": self.dry_run,
            "source": self.source,
            "backup": self.backup,
            "backup_is_new": self.backup_is_new,
            "seconds": round(self.seconds, 1),
            "bytes_copied": self.bytes_copied,
            "changed": self.changed and not self.dry_run,
            "counts": self.counts,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def as_text(self) -> str:
        """The findings by kind, then one sentence, then the table."""
        lines = [f"Import of {self.source}, run {self.run}" + (" (dry run)" if self.dry_run else "")]
        if self.backup:
            lines.append(f"Backup: {self.backup}" + ("" if self.backup_is_new else " (made earlier, equal)"))
        for level, heading in _HEADINGS.items():
            found = [finding.line() for finding in self.findings if finding.level == level]
            if found:
                lines += ["", f"{heading}:", *(f"  {line}" for line in found)]
        return "\n".join([*lines, "", self._sentence(), "", *self._table()])

    def _sentence(self) -> str:
        if self.dry_run:
            return "Nothing was written. This is what an import would do:"
        if not self.changed:
            return "Nothing was changed: all that can be imported is here already."
        return f"Done in {self.seconds:.1f} s; {self.bytes_copied / 1e6:.1f} MB copied."

    def _table(self) -> list[str]:
        rows = [["", "found", *ENDINGS]]
        rows += [[row, *map(str, counts.values())] for row, counts in self.counts.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]


def _plain(text: str) -> str:
    """On one line and fit for any terminal: the texts quote what strangers wrote."""
    return "".join(
        mark if mark.isprintable() else " " for mark in text.encode(errors="replace").decode()
    ).strip()

"""A finished run: its records by part, forwarder and place; on disk as JSON
and CSV."""

import csv
import json
from statistics import median


class Results:
    def __init__(self, meta, records, cdf, goals=None):
        self.meta, self.records, self.cdf = meta, records, cdf
        self.goals = goals or []

    @classmethod
    def load(cls, path):
        with open(path) as file:
            data = json.load(file)
        return cls(data["meta"], data["records"], data["latency_cdf_us"],
                   data["goals"])

    def save(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "results.json").write_text(json.dumps({
            "meta": self.meta, "goals": self.goals, "records": self.records,
            "latency_cdf_us": self.cdf}, indent=1) + "\n")
        with open(directory / "results.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["part", "at", "forwarder", "round", "figure",
                             "value"])
            for record in self.records:
                for key, value in record["values"].items():
                    writer.writerow([record["part"], record["at"],
                                     record["forwarder"], record["round"],
                                     key, value])

    def _ordered(self, part, of):
        return list(dict.fromkeys(
            r[of] for r in self.records if r["part"] == part))

    def parts(self):
        return list(dict.fromkeys(r["part"] for r in self.records))

    def forwarders(self, part):
        return self._ordered(part, "forwarder")

    def places(self, part):
        return self._ordered(part, "at")

    def values(self, part, key, forwarder, at=None):
        """One per round, in their order; none where it is not known."""
        found = [r["values"].get(key) for r in self.records
                 if (r["part"], r["forwarder"], r["at"])
                 == (part, forwarder, at)]
        return [value for value in found if value is not None]

    def median(self, part, key, forwarder, at=None):
        values = self.values(part, key, forwarder, at)
        return median(values) if values else None

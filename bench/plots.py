"""Plots of the comparison: `python bench/plots.py RESULTS FOLDER`, in the environment of requirements/plots.txt."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

TITLES = {
    "small": "a small model: the framework is the work",
    "mixed": "128-512-512-512-10, float32",
    "mixed_int8": "128-512-512-512-10, int8",
    "attention": "two layers of attention over 64 tokens: the model is the work",
}
OURS, OTHERS = "#1b6ca8", "#c9c9c9"


def main(results: Path, folder: Path) -> None:
    """Draw CPU an event, a plot for each job."""
    taken = json.loads(results.read_bytes())["taken"]
    folder.mkdir(exist_ok=True)
    mpl.rcParams["svg.hashsalt"] = "onelane"  # the same bytes each time
    for job, title in TITLES.items():
        rows = sorted((one for one in taken if one["job"] == job), key=lambda one: -one["cpu_us"])
        if not rows:
            continue
        figure, axes = plt.subplots(figsize=(8, 0.34 * len(rows) + 1.2), layout="constrained")
        colours = [OURS if one["way"].startswith("onelane") else OTHERS for one in rows]
        bars = axes.barh([one["way"] for one in rows], [one["cpu_us"] for one in rows], color=colours)
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
        axes.set_xlabel("CPU microseconds an event, user and system (less is better)")
        axes.set_title(title, fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.12)
        figure.savefig(folder / f"{job}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{job}.png", dpi=110, metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

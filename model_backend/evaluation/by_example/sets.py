"""Which real land is compared with which scenes: table, pixel size, bank family and prompts of every set.

Prompts are what a user would write for such land, each so often as the land is seen in the set; they were
written once, before any figure was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_backend.training.data_sets import captions


@dataclass(frozen=True)
class LandSet:
    """Real land of one kind of imagery. ``prompts`` come with the number of scenes each; by ``labels`` a
    scene is of the class that it is named after, and real windows are of those classes. Scenes are ``side``
    pixels wide, and give ``each`` windows."""

    id: str
    title: str
    table: str
    gsd: float
    family: str
    judge: str
    prompts: tuple[tuple[str, int], ...]
    labels: tuple[str, ...] = ()
    side: int = 320
    each: int = 25

    def asked(self) -> list[tuple[str, str]]:
        """Return the prompt of every scene and the class that it is to show."""
        labels = self.labels or ("land",) * len(self.prompts)
        pairs = zip(self.prompts, labels, strict=True)
        return [(prompt, label) for (prompt, count), label in pairs for _ in range(count)]


_CLASSES = (
    "agricultural",
    "beach",
    "buildings",
    "chaparral",
    "denseresidential",
    "forest",
    "golfcourse",
    "harbor",
    "mediumresidential",
    "mobilehomepark",
    "parkinglot",
    "runway",
    "sparseresidential",
)
"""Classes of UC Merced that are land; the other eight are single things, such as a tennis court."""

SETS = (
    LandSet(
        "landscapes",
        "Sentinel-2 landscapes, 10 m",
        "s2_landscapes_10m",
        10.0,
        "landscapes",
        "eurosat",
        (
            ("fields", 4),
            ("fields and forest", 4),
            ("a forest", 2),
            ("a village in fields", 2),
            ("a town", 2),
            ("a river through fields", 1),
            ("meadows and forest", 1),
        ),
    ),
    LandSet(
        "aerial",
        "UC Merced, 13 classes, 0.5 m",
        "ucmerced_0m50",
        0.5,
        "aerial",
        "ucmerced",
        tuple((captions.plain(name), 4) for name in _CLASSES),
        _CLASSES,
        side=192,
        each=8,
    ),
    LandSet(
        "towns",
        "NAIP towns, 0.6 m",
        "naip_towns_0m60",
        0.6,
        "towns",
        "ucmerced",
        (
            ("houses and streets", 6),
            ("buildings and a car park", 4),
            ("mobile homes", 1),
            ("apartments", 1),
            ("a golf course", 1),
            ("shrubland", 1),
            ("a street through houses", 2),
        ),
    ),
    LandSet(
        "plains",
        "Landsat 8 plains, 30 m",
        "landsat_cdl_30m",
        30.0,
        "plains",
        "eurosat",
        (("fields", 8), ("fields with lakes", 5), ("grassland with ponds", 3)),
    ),
)

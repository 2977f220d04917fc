"""How a scene by example is made: rounds, steps, draws, prices of every level. Plans ask: no numba here."""

from __future__ import annotations

from dataclasses import dataclass, replace

RADIUS = 3  # of a patch, in pixels of every level
SIDE = 2 * RADIUS + 1
SELECT = 2  # radius of the patches whose pixels the last vote may select


@dataclass(frozen=True)
class LevelParameters:
    """What holds on one level, in its pixels."""

    rounds: int  # of search and vote
    steps: tuple[int, ...]  # of propagation, in every round
    draws: int  # at random, for every pixel and pass
    radius: int  # of the search nearby
    use_price: int  # what a second use of a source pixel nearby costs
    counts_always: bool  # uses are counted in every round, not only in the first
    apart: int  # cells of the lattice in which uses are counted
    cell: int  # of the lattice that names a place's chips
    corridor: int  # within which the labels of both sides of an outline may be used

    def counts(self, turn: int) -> bool:
        """Say whether uses are counted anew before a round."""
        return self.use_price > 0 and (turn == 0 or self.counts_always)

    @property
    def reach(self) -> int:
        """Pixels of the level, to every side, that a pixel of it depends on at most."""
        counted = sum(self.counts(turn) for turn in range(self.rounds))
        searched = self.rounds * (sum(self.steps) + 2 * RADIUS)
        return searched + 2 * self.apart * counted + 2 * (RADIUS + SELECT + self.corridor) + 1


@dataclass(frozen=True)
class Parameters:
    """The parameters of all levels, finest first; measured, see ``docs/design.md``."""

    levels: int = 4
    shared: int = 2  # levels from here upwards are made once for a whole canvas
    cell: int = 64
    apart: int = 96
    pool: int = 6
    soft: int = 3000  # score below which patches count alike
    use_price: int = 20_000
    coherence: int = 2_000  # what it costs that the source of a neighbour (of four) is no neighbour
    line_gain: int = 0  # how much thin lines count on coarse levels

    def at(self, level: int) -> LevelParameters:
        """Return what holds on a level."""
        coarse = level >= 2
        return LevelParameters(
            rounds=(2, 2, 3, 3, 6)[level],
            steps=(4, 2, 1) if coarse else (2, 1),
            draws=(0, 2, 8, 12, 40)[level],
            radius=(3, 3, 4, 6, 8)[level],
            use_price=self.use_price if coarse else 0,
            counts_always=level == self.levels - 1,
            apart=max(1, self.apart >> level),
            cell=max(2, self.cell >> level),
            corridor=2 if level == 0 else 1,
        )

    def of(self, levels: int) -> Parameters:
        """Return the parameters with fewer levels, for small images."""
        return replace(self, levels=levels, shared=min(self.shared, levels - 1))

    def reach(self, level: int) -> int:
        """Pixels of a level that a pixel of it depends on, to every side."""
        return self.at(level).reach


#: For holes: what is known holds, so soft and price are others.
FILL = Parameters(soft=10_000, use_price=5_000, coherence=0, line_gain=4)
FILL_GAMMA = 4  # eighths; 3 spread what is flat
SCENE_GAMMA = 6
SAMPLE_MARGIN = 18  # pixels around a sample that its shore is taken from

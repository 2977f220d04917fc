"""What a plan says about a layout: what was understood, left out, widened, or is shown as something else."""

from __future__ import annotations

from collections.abc import Sequence

from model_backend.models.banks.bank import bank_in
from model_backend.models.land_cover import nearest, replaced
from model_backend.models.registry import Entry
from model_backend.processes.features.land_class import EXAMPLES
from model_backend.processes.features.layout import LaidFeature, RequestedLayout
from model_backend.processes.prompts import listed
from model_backend.raster.layout_shapes import LEAST
from model_backend.schemas import ExampleRecipe, Recipe

NOT_FOLLOWED = "What is filled from its surroundings follows no layout: choose a model, or write a prompt."


def understood(layout: RequestedLayout) -> list[str]:
    """Return what is laid out, in plain words."""
    return laid_out([(one.word, one.laid.kind) for one in layout.features])


def laid_out(things: Sequence[tuple[str, str]]) -> list[str]:
    """Return in plain words what is laid out: words, each with the kind of land that it is."""
    names = dict.fromkeys(word if word == kind else f"{word} ({kind})" for word, kind in things)
    return [f"laid out: {listed(list(names))}"] if names else []


def warnings(layout: RequestedLayout, recipe: Recipe, entry: Entry) -> list[str]:
    """Warn of what of a layout is not seen as it was drawn."""
    seen = [one for one in layout.features if one.bounds.touches(recipe.grid)]
    said = [unknown(layout.unknown, layout.table), _outside(len(layout.features) - len(seen))]
    if layout.features and entry.card.pipeline == "surroundings":
        return [NOT_FOLLOWED]
    if recipe.examples is None:
        said.append(_too_small([one for one in seen if not layout.is_seen(one, entry.card)], entry))
    else:
        kinds = dict.fromkeys(one.laid.kind for one in seen)
        said += [_widened(seen), *replacements(list(kinds), entry, recipe.examples)]
    return [sentence for sentence in said if sentence]


def unknown(classes: Sequence[str], table: str) -> str:
    """Say which classes have no meaning; empty if there are none."""
    if not classes:
        return ""
    what = "is a class" if len(classes) == 1 else "are classes"
    return f"{listed(classes)} of the layout {what} unknown here and left out. Known are {EXAMPLES[table]}."


def _outside(count: int) -> str:
    if not count:
        return ""
    return f"{count:,} feature{'s' if count > 1 else ''} of the layout lie{'' if count > 1 else 's'} outside."


def _widened(seen: Sequence[LaidFeature]) -> str:
    words = dict.fromkeys(one.word for one in seen if one.drawn.widened)
    if not words:
        return ""
    return f"Drawn {LEAST:g} pixels wide, or it would not be seen: {listed(list(words))}."


def replacements(kinds: Sequence[str], entry: Entry, examples: ExampleRecipe) -> list[str]:
    """Say which kinds the bank has no images of at this pixel size, and what is shown instead."""
    own = [sample.kind for sample in examples.samples if sample.kind]
    available = (*bank_in(entry.require(), entry.card.revision_or_hash).available(examples.gsd), *own)
    lacking = [kind for kind in kinds if kind not in available]
    return [replaced(kind, nearest(kind, available) or available[0]) for kind in lacking if available]


def _too_small(small: Sequence[LaidFeature], entry: Entry) -> str:
    """Say what a diffusion model cannot place."""
    if not small:
        return ""
    names = [f"{one.name} ({one.word})" for one in small]
    size = entry.card.vae_factor
    return (
        f"Left out of the layout: {listed(names)}, too small for {entry.card.title}, which places nothing "
        f"narrower than {size} pixels."
    )

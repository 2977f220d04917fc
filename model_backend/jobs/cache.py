"""What a worker keeps from block to block: models, example images, and what it made of the scene it is at.

Least recently used models go when the memory budget is spent; of a scene only what its later blocks need is
kept. Knows when to load and what to forget; loading itself is ``models.loader``'s. Tells the store what a
loaded model is like on this device, so that plans know its speed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from model_backend.errors import ModelUnavailable
from model_backend.jobs.desk import Journal
from model_backend.models.banks.bank import Bank, bank_in
from model_backend.models.card import ModelCard
from model_backend.models.registry import Entry, Registry
from model_backend.schemas import Box, Recipe
from model_backend.settings import Settings

if TYPE_CHECKING:  # torch and numba are imported with the first job, not with the worker
    from model_backend.engine.by_example.given import Given
    from model_backend.engine.makers import Conditions, SceneMaker
    from model_backend.models.loader import Model


class ModelCache:
    """Models of one device by id, within ``Settings.model_memory_gb``."""

    def __init__(self, settings: Settings, device: str, journal: Journal, registry: Registry) -> None:
        self._settings, self._device, self._journal, self._registry = settings, device, journal, registry
        self._loaded: OrderedDict[str, tuple[Model, int]] = OrderedDict()
        self._scene: tuple[Recipe, SceneMaker] | None = None
        #: The block that the scene goes on with; earlier ones' latents are partly forgotten.
        self.next_block = 0

    def warm_up(self) -> None:
        """Load the default model, or compile what land by example runs; raises ModelUnavailable."""
        entry = self._registry.default()
        if entry.card.by_example:
            from model_backend.engine.synthesis.warm_up import warm_up

            warm_up()
        else:
            self._load(entry)

    def has(self, model: str, revision: str) -> bool:
        """Say whether a model is loaded in that revision."""
        known = self._loaded.get(model)
        return known is not None and known[0].card.revision_or_hash == revision

    def get(self, model: str, revision: str) -> Model:
        """Return a model, loaded; ModelUnavailable if it is not the ``revision`` of the recipe any more."""
        if self.has(model, revision):
            self._loaded.move_to_end(model)
            return self._loaded[model][0]
        return self._load(self._entry(model, revision))

    def card(self, model: str, revision: str) -> ModelCard:
        """Return the card of a model, loaded or not; ModelUnavailable as in ``get``."""
        if self.has(model, revision):
            return self._loaded[model][0].card
        return self._entry(model, revision).card

    def scene(self, recipe: Recipe, given: Callable[[], Given]) -> SceneMaker:
        """Return the scene of a recipe, with what was kept of it; ``given`` reads the user's rasters."""
        if self._scene is None or self._scene[0] != recipe:
            self._scene = None
            self._scene, self.next_block = (recipe, self._begun(recipe, given)), 0
        return self._scene[1]

    def bank(self, recipe: Recipe) -> Bank:
        """Return the bank of a recipe by example; ModelUnavailable as in ``get``."""
        return bank_in(self._entry(recipe.model, recipe.revision).require(), recipe.revision)

    def keep(self, next_block: int, rest: Box | None) -> None:
        """Keep of the scene what ``rest`` of it needs; None: nothing."""
        self.next_block = next_block
        if self._scene is not None and rest is not None:
            self._scene[1].keep(rest)
        else:
            self._scene = None

    def measured(self, model: str, rate: float) -> None:
        """Remember the seconds per unit of work that a scene, or an edit with a loaded model, really took."""
        profile: Conditions | None = None
        if model in self._loaded:
            profile = self._loaded[model][0].profile
        elif self._scene is not None and self._scene[0].model == model:
            profile = self._scene[1].profile
        if profile is not None:
            self._journal.profiles.record(model, self._device, profile.to_dict(), rate)

    def _begun(self, recipe: Recipe, given: Callable[[], Given]) -> SceneMaker:
        """Begin a scene with the model or the example images of its recipe."""
        entry = self._entry(recipe.model, recipe.revision)
        if not entry.card.by_example:
            model = self.get(recipe.model, recipe.revision)
            from model_backend.engine.scene import Scene

            return Scene(model, recipe, composition=self._composition(recipe, model.card, given))
        return self._by_example(recipe, given())

    def _composition(self, recipe: Recipe, card: ModelCard, given: Callable[[], Given]) -> SceneMaker | None:
        """Return the land by example that a scene of a diffusion model begins with, if it does."""
        if recipe.start is None:
            return None
        from model_backend.engine.diffusion.start import composition_recipe

        return self._by_example(composition_recipe(recipe, card), given())

    def _by_example(self, recipe: Recipe, given: Given) -> SceneMaker:
        from model_backend.engine.by_example.scene import ExampleScene

        return ExampleScene(self.bank(recipe), recipe, self._settings.threads, given)

    def _entry(self, model: str, revision: str) -> Entry:
        entry = self._registry.get(model)
        if entry.card.revision_or_hash != revision:
            raise ModelUnavailable(f"The model {model} was replaced since the job was sent; send it again.")
        return entry

    def _load(self, entry: Entry) -> Model:
        folder = entry.require()
        from model_backend.models import loader

        self._scene = None  # it may hold a model that is to go
        self._loaded.pop(entry.card.id, None)
        size = loader.bytes_needed(folder, entry.card, self._device)
        self._make_room(size)
        model = loader.load(folder, entry.card, self._device, self._settings.threads)
        self._loaded[entry.card.id] = (model, size)
        profile = model.profile
        self._journal.profiles.record(
            entry.card.id, self._device, profile.to_dict(), profile.seconds_per_evaluation
        )
        return model

    def _make_room(self, size: int) -> None:
        """Forget the models used longest ago until ``size`` more bytes fit; the newest one always may."""
        budget = self._settings.model_memory_gb * 1e9
        while self._loaded and sum(held for _, held in self._loaded.values()) + size > budget:
            self._loaded.popitem(last=False)

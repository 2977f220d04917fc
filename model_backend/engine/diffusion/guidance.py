"""Classifier-free guidance (Ho and Salimans 2022), text and level jointly.

The unconditional half sees the negative prompt and no level (Text2Earth, algorithm 2). A plain step has no
such half. A window that follows several prompts is evaluated once for each, and once for each
negative prompt among them; every prompt's guided prediction counts where, and as far as, it holds. Knows a
model and which prompts a window follows; not where windows lie.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_backend.engine.diffusion.batching import Batching
from model_backend.engine.diffusion.prompt_field import Mixture, Prompt
from model_backend.engine.diffusion.sampler import Step
from model_backend.models.card import NO_LEVEL
from model_backend.models.loader import Model


class Guidance:
    """The guided predictions of a model at a level, for some prompts."""

    def __init__(self, model: Model, prompts: Sequence[Prompt], level: int | None, scale: float) -> None:
        """Embed the prompts; ``scale`` 1 is no guidance."""
        self.model, self.level, self.scale = model, level or NO_LEVEL, scale
        self.prompts = prompts
        self._negatives = tuple(dict.fromkeys(prompt.negative for prompt in prompts)) if scale > 1 else ()
        #: Embeddings (texts, tokens, dim): of the negative prompts, then of the prompts.
        self.embeds = model.embed([*self._negatives, *(prompt.text for prompt in prompts)])
        self._freed, self._halvings = False, 0

    @property
    def approximate(self) -> bool:
        """Whether memory ran short, so that evaluations were made in smaller calls than the profile says."""
        return self._halvings > 0

    def unconditional(self, prompt: int) -> int:
        """Return the number of the embedding that the unconditional half of a prompt takes."""
        return self._negatives.index(self.prompts[prompt].negative)

    def conditional(self, prompt: int) -> int:
        """Return the number of the embedding that a prompt takes."""
        return len(self._negatives) + prompt

    def evaluate(
        self, x: Tensor, timestep: float, embeds: Tensor, levels: Tensor, context: Tensor | None
    ) -> Tensor:
        """Return the model's prediction, as `Model.denoise` does, also where its memory runs short.

        The first time, what the device holds in reserve is freed and the call tried again; after that, calls
        are halved for good, which may change last bits. Raises torch.OutOfMemoryError where one sample is too
        much.
        """
        while True:
            size = max(1, len(x) >> self._halvings)
            cuts = [slice(first, first + size) for first in range(0, len(x), size)]
            with contextlib.suppress(torch.OutOfMemoryError):
                return torch.cat(
                    [
                        self.model.denoise(
                            x[cut],
                            timestep,
                            embeds[cut],
                            levels[cut],
                            None if context is None else context[cut],
                        )
                        for cut in cuts
                    ]
                )
            if self._freed and size == 1:
                raise torch.OutOfMemoryError(f"one sample is too much for {self.model.device}")
            self._halvings += self._freed
            self._freed = True
            self.model.free()

    def over(self, mixtures: Sequence[Mixture], batching: Batching) -> Guided:
        """Return the predictions for windows with these mixtures, a group that shares UNet calls."""
        return Guided(self, mixtures, batching)


@dataclass(frozen=True, eq=False)
class _Row:
    """The evaluations of a step, padded to whole calls: of which window, with which text and level.

    ``unconditional`` is for every pair of a window and a prompt the place of its unconditional evaluation in
    the row, ``conditional`` are the places of the pairs' own.
    """

    windows: Tensor
    texts: Tensor
    levels: Tensor
    unconditional: Tensor
    conditional: slice


class Guided:
    """The guided predictions for a group of windows, each of which follows its own mixture of prompts.

    Evaluations stand in a row, unconditional ones first; within each half the first one of every window, then
    the second one of those that have it, and so on. Plain steps have a row of their own.
    """

    def __init__(self, guidance: Guidance, mixtures: Sequence[Mixture], batching: Batching) -> None:
        self._guidance, self._batching = guidance, batching
        ranks = [
            [(window, m.prompts[rank]) for window, m in enumerate(mixtures) if rank < len(m.prompts)]
            for rank in range(max(len(m.prompts) for m in mixtures))
        ]
        self._pairs = [pair for rank in ranks for pair in rank]
        where = guidance.model.device
        self._owners = [torch.tensor([window for window, _ in rank], device=where) for rank in ranks]
        self._weights = _weights(self._pairs, mixtures).to(where) if len(ranks) > 1 else None
        self._rows: dict[bool, _Row] = {}

    def predict(
        self,
        x: Tensor,
        step: Step,
        context: Tensor | None = None,
        called: Callable[[int], None] = lambda _: None,
    ) -> Tensor:
        """Return the prediction for latents (windows, c, h, w) at a step.

        ``context`` (windows, 1 + c, h, w) is what an inpainting model sees besides; None: nothing is known.
        ``called`` hears of the evaluations of every UNet call after it, and may raise.
        """
        row, samples = self._row(step.guided), self._batching.samples(step.guided)
        parts = []
        for first in range(0, len(row.windows), samples):
            part = slice(first, first + samples)
            windows = row.windows[part]
            seen = None if context is None else context[windows]
            embeds, levels = self._guidance.embeds[row.texts[part]], row.levels[part]
            parts.append(self._guidance.evaluate(x[windows], step.timestep, embeds, levels, seen))
            called(samples)
        outputs = torch.cat(parts)
        prediction = outputs[row.conditional]
        if step.guided:
            unconditional = outputs[row.unconditional]
            prediction = unconditional + self._guidance.scale * (prediction - unconditional)
        return prediction if self._weights is None else self._blend(prediction * self._weights)

    def _row(self, guided: bool) -> _Row:
        """Return the row of all guided steps, or of all plain ones; made once."""
        if guided not in self._rows:
            guidance, where = self._guidance, self._guidance.model.device
            halves = [(window, guidance.unconditional(prompt)) for window, prompt in self._pairs if guided]
            place = {pair: number for number, pair in enumerate(dict.fromkeys(halves))}
            pairs = [*place, *((window, guidance.conditional(prompt)) for window, prompt in self._pairs)]
            padded = pairs + [pairs[-1]] * (-len(pairs) % self._batching.samples(guided))
            windows, texts = torch.tensor(padded, device=where).T
            levels = torch.full([len(padded)], float(guidance.level))
            levels[: len(place)] = NO_LEVEL
            at = torch.tensor([place[pair] for pair in halves], dtype=torch.int64, device=where)
            self._rows[guided] = _Row(windows, texts, levels, at, slice(len(place), len(pairs)))
        return self._rows[guided]

    def _blend(self, weighted: Tensor) -> Tensor:
        """Add what every window's prompts come to, in the order of its mixture."""
        parts = torch.split(weighted, [len(owners) for owners in self._owners])
        blend, others = parts[0].clone(), parts[1:]
        for owners, part in zip(self._owners[1:], others, strict=True):
            blend[owners] += part
        return blend


def _weights(pairs: Sequence[tuple[int, int]], mixtures: Sequence[Mixture]) -> Tensor:
    """Return the weight of every pair of window and prompt, (pairs, 1, h, w)."""
    alone = np.ones_like(next(m.weights[0] for m in mixtures if m.weights is not None))
    found = []
    for window, prompt in pairs:
        mixture = mixtures[window]
        held = mixture.weights
        found.append(alone if held is None else held[mixture.prompts.index(prompt)])
    return torch.from_numpy(np.stack(found))[:, None]

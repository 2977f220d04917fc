"""Sets of images: Fréchet distance, precision, recall, diversity, nearest neighbours, outlines."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model_backend.arrays import Float64Array, UInt8Array


def frechet_distance(ours: Tensor, theirs: Tensor) -> float:
    """Return the Fréchet distance of two sets of features (n, d), (m, d) as Gaussians (Heusel et al. 2017).

    The trace of the square root of the product of covariances is the sum of the roots of its eigenvalues.
    """
    a, b = ours.double().numpy(), theirs.double().numpy()
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(complex)).real.sum()
    gap = np.square(a.mean(0) - b.mean(0)).sum()
    return float(gap + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


def precision_recall(ours: Tensor, theirs: Tensor, neighbours: int = 3) -> tuple[float, float]:
    """Return precision and recall of features (n, d), (m, d) (Kynkaanniemi et al. 2019).

    Precision is the share of ours that lie in the manifold of theirs: no farther from one of them than its
    third neighbour; recall the share of theirs in that of ours.
    """
    apart = torch.cdist(ours, theirs)
    precision = (apart <= _reach(theirs, neighbours)).any(1).float().mean()
    recall = (apart <= _reach(ours, neighbours)[:, None]).any(0).float().mean()
    return float(precision), float(recall)


def _reach(features: Tensor, neighbours: int) -> Tensor:
    """Return how far the n-th neighbour of every feature is."""
    nearest = torch.cdist(features, features).topk(neighbours + 1, largest=False).values
    return nearest[:, -1]


def diversity(features: Tensor, names: list[str]) -> float:
    """Return the mean distance between features (n, d) of two images of the same class."""
    distances = []
    for name in set(names):
        inside = features[[index for index, other in enumerate(names) if other == name]]
        distances.append(float(F.pdist(inside).mean()))
    return float(np.mean(distances))


def shrink(images: Tensor) -> Tensor:
    """Return images (n, 3, 64, 64) as vectors (n, 192): means of 8 x 8 pixels, in DN."""
    return (F.avg_pool2d(images, 8) * 127.5).flatten(1)


def turned(images: Tensor) -> list[Tensor]:
    """Return the 8 flips and rotations of images (n, 3, s, s)."""
    turns = [torch.rot90(images, k, (2, 3)) for k in range(4)]
    return turns + [some.flip(3) for some in turns]


def nearest_distances(images: Tensor, library: Tensor) -> Float64Array:
    """Return for each image (n, 3, 64, 64) the rms distance in DN to the nearest vector of ``library``.

    ``library`` (m, 192) holds shrunken training windows; all 8 turns of an image are tried.
    """
    best = torch.full((len(images),), torch.inf)
    for way in turned(images):
        for part in torch.split(library, 20_000):
            best = torch.minimum(best, torch.cdist(shrink(way), part).min(1).values)
    result: Float64Array = (best / library.shape[1] ** 0.5).double().numpy()
    return result


def shrunken_windows(pixels: UInt8Array, step: int) -> Tensor:
    """Return all windows on a grid of ``step`` pixels of chips (n, s, s, 3), shrunken: (m, 192)."""
    size = pixels.shape[1]
    offsets = range(0, size - 63, step)
    found = []
    for row in offsets:
        for col in offsets:
            window = pixels[:, row : row + 64, col : col + 64].transpose(0, 3, 1, 2)
            images = torch.from_numpy(np.ascontiguousarray(window)).float() / 127.5 - 1
            found.append(shrink(images))
    return torch.cat(found)


def quantiles(values: Float64Array) -> dict[str, float]:
    """Return the 1, 5, 25 and 50 % quantiles."""
    return {f"{percent} %": round(float(np.percentile(values, percent)), 3) for percent in (1, 5, 25, 50)}


def outline_gradient(image: UInt8Array, mask: UInt8Array) -> float:
    """Return the mean absolute step in DN across the outline of ``mask`` (s, s) in an image (s, s, 3)."""
    values = image.astype(np.float64).mean(2)
    across, down = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    edge_across, edge_down = np.diff(mask, axis=1) != 0, np.diff(mask, axis=0) != 0
    return float(np.concatenate([across[edge_across], down[edge_down]]).mean())

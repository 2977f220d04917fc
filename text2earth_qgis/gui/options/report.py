"""The outcome of a connection test, in sentences: version, models, device, memory, how quickly it answers."""

from __future__ import annotations

from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.gui import words
from text2earth_qgis.gui.connection import State


def report(state: State, seconds: float) -> str:
    """Put what a backend said within ``seconds`` into sentences; its trouble if it has one."""
    if state.trouble:
        return state.trouble
    return "\n".join([_connected(state, seconds), _models(state), _device(state), _queue(state)])


def _connected(state: State, seconds: float) -> str:
    local, version = words.is_local(state.url), state.health.get("version")
    connected = (
        tr("Connected to this computer in {ms} ms.") if local else tr("Connected to {host} in {ms} ms.")
    )
    backend = tr("Backend {version}.") if version else tr("Backend of unknown version.")
    return f"{connected} {backend}".format(
        host=words.host(state.url), ms=max(1, round(seconds * 1000)), version=version
    )


def _models(state: State) -> str:
    name = state.health.get("model")
    title = next((card["title"] for card in state.models if card["id"] == name), name)
    if not state.health.get("installed", True):
        return tr("Its model {title} is not installed. There, run: {command}").format(
            title=title, command=f"text2earth-backend models pull {name}"
        )
    text = tr("Model: {title}.").format(title=title)
    others = [card["title"] for card in state.models if card.get("installed") and card["id"] != name]
    also = tr("Also: {titles}.").format(titles=", ".join(others))
    return f"{text} {also}" if others else text


def _device(state: State) -> str:
    profile, memory = state.health.get("profile") or {}, state.health.get("memory")
    parts = [tr("Device and speed are known after the first run.")]
    if profile:
        how = ", ".join(str(profile[key]) for key in ("isa", "dtype") if profile.get(key))
        text = tr("Device: {device} ({how}), repeatable bit by bit.")
        if profile.get("approximate"):
            text = tr("Device: {device} ({how}), not repeatable bit by bit.")
        parts = [text.format(device=state.health.get("device"), how=how)]
    if profile.get("memory"):
        parts.append(tr("Its memory: {size}.").format(size=words.size(int(profile["memory"]))))
    if memory:
        parts.append(tr("Memory of that computer: {size}.").format(size=words.size(int(memory))))
    return " ".join(parts)


def _queue(state: State) -> str:
    waiting = state.health.get("queue")
    if not isinstance(waiting, int) or not waiting:
        return tr("Nothing in the queue.")
    some = trn("{number} job in the queue.", "{number} jobs in the queue.", waiting)
    return some.format(number=words.number(waiting))

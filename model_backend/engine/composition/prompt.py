"""From a prompt to a composition: what lies everywhere, what lies in it, what must not be seen.

What lies everywhere is what the prompt says things are in ("in a forest"), else the first kind of land that
can be that, else what usually surrounds the things. Everything is decided by words alone, so a prompt means
the same at every scale and with every seed.
"""

from __future__ import annotations

from dataclasses import replace

from model_backend.engine.composition.composition import Composition, Reading, Thing
from model_backend.engine.composition.forms import BUILT_UP, ELSE, GREEN, IMPLIED, MASSES, SURROUNDINGS
from model_backend.engine.composition.mentions import Mention, mentions
from model_backend.engine.composition.words import MOST, PLURAL

_SINGLE = ("house", "building", "cottage", "villa", "farmhouse", "factory", "tree", "field", "wood", "home")
_ADJECTIVES = ("residential", "industrial", "commercial", "suburban", "urban")
_AFLOAT = ("island", "boat", "ship")
_OPEN_WATER = ("water", "sea", "ocean")
NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SHAPES = {
    "line": "from side to side",
    "side": "along one side",
    "quay": "at the water's edge",
}
_SHIPS = 40  # metres of water, across
_MOST_THINGS = 24
_DEFAULT = "farmland with a wood, a village, a lake and a river"


def read(prompt: str, negative: str = "") -> Reading:
    """Return what a prompt asks for, without what it or the negative prompt excludes."""
    named, unknown = mentions(prompt)
    denied, strange = mentions(negative)
    denied = [*(one for one in named if one.negated), *denied]
    excluded = _excluded(denied)
    wanted = _merged([one for one in named if not one.negated])
    notes = []
    if not wanted:
        wanted = [one for one in mentions(_DEFAULT)[0] if one.kind not in excluded]
        reason = "names nothing that can be drawn" if prompt.strip() else "is empty"
        shows = ", ".join(one.word for one in wanted) or "what is not excluded"
        notes.append(f"The prompt {reason}: the scene shows {shows}.")
    if len(wanted) > _MOST_THINGS:
        notes.append(f"The prompt names {len(wanted)} things: the first {_MOST_THINGS} are drawn.")
        wanted = wanted[:_MOST_THINGS]
    background = _background(wanted)
    usual = SURROUNDINGS.get(wanted[0].kind, ELSE) if wanted else ELSE
    everywhere = background.kind if background else _allowed(usual, excluded)
    things = _things(everywhere, background, wanted)
    asked = {thing.kind for thing in things} | ({everywhere} if background else set())
    notes += [f"The prompts both ask for and exclude {one}: it is drawn." for one in excluded if one in asked]
    understood = [f"{_called(_name(background), background.kind)}, everywhere"] if background else []
    understood += [describe(thing) for thing in things]
    understood += dict.fromkeys(f"no {_name(one)}" for one in denied if one.kind not in asked)
    composition = Composition(everywhere, things, tuple(one for one in excluded if one not in asked))
    strange = list(dict.fromkeys(unknown + strange))
    return Reading(composition, tuple(understood), tuple(strange), tuple(notes), background is not None)


def describe(thing: Thing) -> str:
    """Say in plain words what a thing is: "two ponds (water)"."""
    one = thing.count == 1 or thing.word in MASSES
    several = thing.word if one else f"{NUMBERS[thing.count]} {plural(thing.word)}"
    place = SHAPES.get(thing.shape)
    return _called(several, thing.kind) + (f", {place}" if place else "")


def _called(name: str, kind: str) -> str:
    return name if name == kind else f"{name} ({kind})"


def _name(one: Mention) -> str:
    return plural(one.word) if one.plural else one.word


def plural(word: str) -> str:
    """Return the English plural of a word for land."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}{'es' if word.endswith(('ch', 'sh')) else '' if word.endswith('s') else 's'}"


def _merged(found: list[Mention]) -> list[Mention]:
    """Make one thing of "sandy beach"; of "forest road", a road in a forest."""
    result: list[Mention] = []
    for one in found:
        if one.joined and result:
            before = result.pop()
            if before.word in _ADJECTIVES and one.kind in BUILT_UP:  # "industrial buildings"
                one = replace(one, word=before.word, kind=before.kind, form=before.form)
            elif before.kind != one.kind and before.kind.split()[-1] != one.kind.split()[-1]:
                around = before.form.covers and not any(other.relation == "inside" for other in found)
                result.append(replace(before, relation="inside" if around else before.relation, count=None))
                one = replace(one, relation="with")
        result.append(one)
    return result


def _covers(one: Mention) -> bool:
    """Say whether everything else can lie in it: a forest, or houses, but not a house."""
    single = one.word in _SINGLE and one.count is not None and not one.plural
    trees = one.word == "tree" and one.relation not in ("", "inside")
    return one.form.covers and not (single and one.word not in ("field", "wood")) and not trees


def _background(wanted: list[Mention]) -> Mention | None:
    """Return what lies everywhere, if the prompt names it."""
    if len(wanted) == 1 and wanted[0].word in _OPEN_WATER:
        return wanted[0]
    around = [one for one in wanted if one.relation == "inside"]
    for one in around:
        if one.form.covers or one.word in ("village", "settlement", "hamlet", "island"):
            return one
        if one.kind == "water" and wanted[0].word in _AFLOAT:
            return one
    return next((one for one in wanted if _covers(one)), None)


def _things(everywhere: str, background: Mention | None, wanted: list[Mention]) -> tuple[Thing, ...]:
    """Arrange everything but what lies everywhere as things in it."""
    things: list[Thing] = []
    before: Mention | None = None
    for one in wanted:
        if one is not background and not (one.kind == everywhere and one.form.covers):
            if everywhere == "water" and one.form.shape == "quay":
                one = replace(one, form=one.form._replace(shape="round"))
            thing = _thing(one, beside=one.relation == "beside" and before is background)
            close = one.relation in ("beside", "with") and things and before is not background
            things.append(replace(thing, near=len(things) - 1) if close else thing)
        before = one
    if everywhere == "water":
        return tuple(things)
    dry = not any(thing.kind == "water" for thing in things)
    moored = any(thing.shape == "quay" for thing in things) and not any(_moors(thing) for thing in things)
    if moored or (dry and any(thing.word == "beach" for thing in things)):
        things.append(Thing("sea", "water", "side", _SHIPS, _SHIPS))
    return tuple(things)


def _moors(thing: Thing) -> bool:
    """Say whether there is room for ships."""
    return thing.kind == "water" and (thing.shape == "side" or thing.high >= _SHIPS)


def _thing(one: Mention, beside: bool) -> Thing:
    """Return a mention as a thing; land beside what lies everywhere takes one side of the scene."""
    form = one.form
    if one.count is not None:
        count = one.count
    else:
        mass = one.word in MASSES and not beside
        count = PLURAL if (one.plural or mass) and form.shape in ("round", "block") else 1
        count = 2 if one.plural and form.shape == "line" else count
    covers = form.covers and form.shape == "round" and one.word not in _SINGLE
    shape = "side" if beside and covers and one.count in (None, 1) and one.kind != "town" else form.shape
    winding = form.winding if one.winding is None else max(form.winding, 60) * one.winding // 100
    count = 1 if shape in ("side", "quay") else min(count, MOST)
    return Thing(one.word, one.kind, shape, form.low, form.high, count, winding)


def _excluded(unwanted: list[Mention]) -> tuple[str, ...]:
    """Return the kinds that are not wanted, with those that are the same to a reader."""
    kinds: dict[str, None] = {}
    for one in unwanted:
        kinds |= dict.fromkeys((one.kind, *IMPLIED.get(one.kind, ())))
    return tuple(kinds)


def _allowed(usual: str, excluded: tuple[str, ...]) -> str:
    """Return a kind of land for everywhere, if it may be the usual one."""
    return next((kind for kind in (usual, ELSE, *GREEN) if kind not in excluded), ELSE)

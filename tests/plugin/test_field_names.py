"""Fields of a request have the names in sentences that they have in QGIS."""

import pytest

from text2earth_qgis.core.wire import field_names, schemas
from text2earth_qgis.core.wire.schemas import Plan, StatusInfo


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("`stretch` must be [lowest, highest] per band.", "'Stretch' must be [lowest, highest] per band."),
        ("`extent.bbox.2` must be a number.", "'Extent' must be a number."),
        ("`inputs.source` is missing.", "'Raster' is missing."),
        ("The `prompt` of region 3 is empty.", "The 'Prompt' of region 3 is empty."),
        ("Drop `--no-token`.", "Drop '--no-token'."),
        ("No names here.", "No names here."),
    ],
)
def test_sentences(said, shown):
    assert field_names.in_words(said) == shown


def test_every_field_has_a_name():
    """Of all that QGIS sends, but for what no user sets."""
    fields = {
        name
        for kind in (schemas.GenerateInputs, schemas.EditInputs, schemas.ExtendInputs)
        for name in kind.__dataclass_fields__
    }
    assert fields - set(field_names.TITLES) == {"record_prompt"}


def test_plans_and_jobs_speak_so_too():
    plan = dict.fromkeys(Plan.__dataclass_fields__) | {"warnings": ["`gsd` was 1.", "Fine."]}
    assert Plan.from_json(plan).warnings == ["'Ground sample distance' was 1.", "Fine."]
    status = {"jobID": "a", "status": "failed", "message": "`mask.crs` is unknown."}
    assert StatusInfo.from_json(status).message == "'Mask' is unknown."

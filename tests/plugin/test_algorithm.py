"""text2earth:generate inside QGIS: parameters, worker, model, batch, the layer; with a real backend."""

import json
import re

import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
)

from tests.support.qgis.runs import whole
from tests.support.qgis.toolbox import HOURS, PATIENCE, algorithm_of, in_worker, run_batch
from tests.support.web_server import Reply
from text2earth_qgis.core import layers, settings
from text2earth_qgis.core.runs.history import History
from text2earth_qgis.core.wire import transport

EXTENT = "500000,500128,5800000,5800128 [EPSG:32633]"
QUICK = {"PROMPT": "a lake", "EXTENT": EXTENT, "GSD": 1, "STEPS": 2, "SEED": 7}


pytestmark = pytest.mark.usefixtures("provider", "own_history")


@pytest.fixture
def algorithm():
    return algorithm_of("generate")


def run(parameters, context=None, feedback=None):
    """Run as scripts do, in the calling thread."""
    import processing

    return processing.run("text2earth:generate", parameters, context=context, feedback=feedback)


@pytest.mark.fast
def test_parameters_and_outputs(algorithm):
    names = [one.name() for one in algorithm.parameterDefinitions()]
    assert names == [
        *("PROMPT", "EXTENT", "GSD", "SEED", "VARIANTS", "NEGATIVE_PROMPT", "CRS", "ALIGN_TO", "CANVAS"),
        "CONTINUE",
        *("START", "START_STRENGTH", "REGIONS", "REGION_PROMPT_FIELD", "REGION_NEGATIVE_PROMPT_FIELD"),
        *("REGION_PRIORITY_FIELD", "LAYOUT", "LAYOUT_FIELD", "LAYOUT_RASTER", "LAYOUT_TABLE", "SAMPLE"),
        *("SAMPLE_AREA", "SAMPLE_WORDS", "SAMPLE_FIELD", "SAMPLE_RASTER_FIELD", "STEPS", "SAMPLER"),
        *("GUIDANCE", "MODEL", "OUTPUT", "SOURCES"),
    ]
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    plain = [one.name() for one in algorithm.parameterDefinitions() if not one.flags() & advanced]
    assert plain == ["PROMPT", "EXTENT", "GSD", "SEED", "VARIANTS", "OUTPUT", "SOURCES"]
    assert all(one.help() for one in algorithm.parameterDefinitions())
    optional = QgsProcessingParameterDefinition.Flag.FlagOptional
    needed = [one.name() for one in algorithm.parameterDefinitions() if not one.flags() & optional]
    assert needed == ["PROMPT", "EXTENT", "CANVAS", "LAYOUT_TABLE", "OUTPUT"]
    outputs = [one.name() for one in algorithm.outputDefinitions()]
    assert outputs == ["OUTPUT", "SOURCES", "SEED", "RECIPE", "FILES", "GSD"]
    assert "synthetic" in algorithm.shortHelpString()
    assert "iface" not in algorithm.asPythonCommand({}, QgsProcessingContext())


@pytest.mark.fast
def test_run_from_a_script(backend, tmp_path):
    target = str(tmp_path / "a.tif")
    results = run({**QUICK, "OUTPUT": target})
    assert results["OUTPUT"] == target
    assert results["SEED"] == 7
    assert results["GSD"] == pytest.approx(1.0004, abs=1e-4)
    recipe = json.loads(results["RECIPE"])
    assert (recipe["prompt"], recipe["seed"], recipe["steps"]) == ("a lake", 7, 2)
    assert recipe == layers.recipe_in_file(target)
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert (noted.state, noted.target, noted.recipe) == ("fetched", target, recipe)


def test_the_same_seed_gives_the_same_pixels(backend, tmp_path):
    first = run({**QUICK, "SEED": None, "OUTPUT": str(tmp_path / "a.tif")})
    second = run({**QUICK, "SEED": first["SEED"], "OUTPUT": str(tmp_path / "b.tif")})
    other = run({**QUICK, "SEED": first["SEED"] + 1, "OUTPUT": str(tmp_path / "c.tif")})
    pixels = [gdal.Open(one["OUTPUT"]).ReadRaster() for one in (first, second, other)]
    assert pixels[0] == pixels[1]
    assert pixels[0] != pixels[2]


def test_every_parameter_reaches_the_recipe(backend, tmp_path):
    parameters = {
        "NEGATIVE_PROMPT": "clouds",
        "CRS": "EPSG:32632",
        "CANVAS": "ground",
        "SAMPLER": "euler",
        "GUIDANCE": 3.5,
        "MODEL": "tiny",
        "OUTPUT": str(tmp_path / "a.tif"),
    }
    recipe = json.loads(run({**QUICK, **parameters})["RECIPE"])
    assert (recipe["negative_prompt"], recipe["canvas"], recipe["sampler"]) == ("clouds", "ground", "euler")
    assert (recipe["guidance"], recipe["model"], recipe["frame"]["crs"]) == (3.5, "tiny", "EPSG:32632")


def test_the_canvas_of_an_earlier_image(backend, tmp_path):
    first = run({**QUICK, "OUTPUT": str(tmp_path / "a.tif")})
    canvas = json.loads(first["RECIPE"])["canvas"]
    box = ",".join(str(canvas[key]) for key in ("col", "row", "width", "height"))
    part = "500016,500080,5800016,5800080 [EPSG:32633]"
    second = run({**QUICK, "EXTENT": part, "CANVAS": box, "OUTPUT": str(tmp_path / "b.tif")})
    whole, cut = gdal.Open(first["OUTPUT"]), gdal.Open(second["OUTPUT"])
    assert whole.ReadRaster(16, 48, 64, 64) == cut.ReadRaster()


def test_align_to_a_raster(backend, tmp_path):
    path = str(tmp_path / "there.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 400, 400, 1)
    dataset.SetGeoTransform((399999.7, 0.6, 0, 5800200.2, 0, -0.6))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32632)
    dataset.SetSpatialRef(system)
    dataset = None
    extent = "400010,400090,5800010,5800090 [EPSG:32632]"
    parameters = {**QUICK, "GSD": None, "EXTENT": extent, "ALIGN_TO": path}
    made = gdal.Open(run({**parameters, "OUTPUT": str(tmp_path / "a.tif")})["OUTPUT"])
    x, width, _, y, _, height = made.GetGeoTransform()
    assert (width, height) == (0.6, -0.6)
    for offset in ((x - 399999.7) / 0.6, (5800200.2 - y) / 0.6):
        assert abs(offset - round(offset)) < 1e-6
    assert made.GetSpatialRef().GetAuthorityCode(None) == "32632"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"PROMPT": "  "}, "The prompt is empty"),
        ({"MODEL": "nothing"}, "nothing"),
        ({"CANVAS": "sofa"}, "Canvas 'sofa' is none of: extent, ground, col,row,width,height"),
        ({"CRS": "EPSG:1"}, "EPSG:1 is not a CRS"),
        ({"ALIGN_TO": "/x/nothing.tif"}, "nothing.tif"),
        ({"OUTPUT": "/x/a.png"}, "must end in .tif"),
        ({"OUTPUT": "/proc/nothing/a.tif"}, "cannot be written"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refusals_are_sentences(backend, tmp_path, parameters, sentence):
    feedback = QgsProcessingFeedback()
    with pytest.raises(QgsProcessingException) as error:
        run({**QUICK, "OUTPUT": str(tmp_path / "a.tif"), **parameters}, feedback=feedback)
    assert sentence in str(error.value) + feedback.textLog()


def test_no_input_is_the_target(backend, tmp_path, project):
    grid = run({**QUICK, "OUTPUT": str(tmp_path / "grid.tif")})["OUTPUT"]
    areas, ring = tmp_path / "areas.tif", [[15, 52], [15.1, 52], [15, 52.1], [15, 52]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {"p": "a meadow"}, "geometry": shape}
    areas.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))  # whatever its name
    more = {"REGIONS": str(areas), "REGION_PROMPT_FIELD": "p"}
    for parameters, title in (({"ALIGN_TO": grid, "GSD": None}, "Align pixels to"), (more, "Regions")):
        target = next(iter(parameters.values()))
        feedback = QgsProcessingFeedback()
        with pytest.raises(QgsProcessingException):
            run({**QUICK, **parameters, "OUTPUT": target}, feedback=feedback)
        assert f"would be written over what is given as '{title}'" in feedback.textLog()


def test_seeds_of_any_size_are_taken_as_they_are(backend, tmp_path):
    """QGIS's own whole numbers end at 2**31 - 1; a seed of the panel or of a recipe may be larger."""
    found = run({**QUICK, "SEED": 3_000_000_000, "OUTPUT": str(tmp_path / "a.tif")})
    assert found["SEED"] == json.loads(found["RECIPE"])["seed"] == 3_000_000_000


def test_an_output_that_cannot_be_written_starts_nothing(backend, tmp_path):
    with pytest.raises(QgsProcessingException, match="cannot be written"):
        run({**QUICK, "OUTPUT": "/proc/nothing/a.tif"})
    assert not whole(History(tmp_path / "profile" / "history.sqlite"))


def test_what_is_raised_holds_no_other_error(backend, tmp_path):
    """QGIS 3.22 never frees it, nor the frames of what it came from."""
    algorithm, context = algorithm_of("generate"), QgsProcessingContext()
    algorithm.initAlgorithm()
    with pytest.raises(QgsProcessingException, match="must end in .tif") as error:
        algorithm.prepareAlgorithm({**QUICK, "OUTPUT": "/x/a.png"}, context, QgsProcessingFeedback())
    assert error.value.__context__ is None


def test_an_extent_without_crs_has_that_of_the_project(backend, tmp_path, project):
    context = QgsProcessingContext()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    context.setProject(project)
    parameters = {**QUICK, "EXTENT": "500000,500128,5800000,5800128", "OUTPUT": str(tmp_path / "a.tif")}
    recipe = json.loads(run(parameters, context=context)["RECIPE"])
    assert recipe["frame"]["crs"] == "EPSG:32633"


def test_prompts_stay_out_of_files_and_layers_if_the_user_says_so(backend, tmp_path, project):
    settings.save(settings.Settings(record_prompt=False))
    layer, _results = in_toolbox({**QUICK, "OUTPUT": str(tmp_path / "a.tif")}, project)
    assert b"lake" not in (tmp_path / "a.tif").read_bytes()
    assert "lake" not in layer.name() + layer.metadata().abstract() + str(layer.customProperty(layers.RECIPE))


# ---- in the toolbox


def in_toolbox(parameters, project, name="Imagery", feedback=None):
    """Run as the toolbox does when the result is to be opened, and return the loaded layer."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    context = QgsProcessingContext()
    context.setProject(project)
    output = QgsProcessingOutputLayerDefinition(parameters["OUTPUT"], project)
    output.destinationName = name
    algorithm = algorithm_of("generate")
    feedback = feedback or QgsProcessingFeedback()
    results, good = algorithm.run({**parameters, "OUTPUT": output}, context, feedback)
    assert good, feedback.textLog()
    assert handleAlgorithmResults(algorithm, context, feedback)
    (layer,) = [one for one in project.mapLayers().values() if one.source() == results["OUTPUT"]]
    return layer, results


def test_the_layer_says_what_it_is(backend, tmp_path, project):
    layer, results = in_toolbox({**QUICK, "OUTPUT": str(tmp_path / "a.tif")}, project)
    assert layer.name() == "a lake, seed 7"
    assert layer.crs().authid() == "EPSG:32633"
    group = project.layerTreeRoot().findGroup("Text2Earth")
    assert [node.layerId() for node in group.children()] == [layer.id()]
    assert len(project.layerTreeRoot().findLayers()) == 1
    assert "Prompt: a lake" in layer.metadata().abstract()
    assert re.search(r"Ground sample distance: 1\.000\d+ m", layer.metadata().abstract())
    credit, attribution = layer.metadata().rights()
    assert credit.startswith("Synthetic image")
    assert attribution.startswith("Random numbers")
    assert layers.recipe_of(layer) == json.loads(results["RECIPE"])


def test_a_worker_s_result_is_loaded_too(backend, tmp_path, project, qtbot):
    """The toolbox runs algorithms in a worker, whose context replaces the one they are prepared in."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    context, feedback, ends = QgsProcessingContext(), QgsProcessingFeedback(), []
    context.setProject(project)
    output = QgsProcessingOutputLayerDefinition(str(tmp_path / "a.tif"), project)
    algorithm = algorithm_of("generate")
    task = QgsProcessingAlgRunnerTask(algorithm, {**QUICK, "OUTPUT": output}, context, feedback)
    task.executed.connect(lambda good, _results: ends.append(good))
    QgsApplication.taskManager().addTask(task)
    qtbot.waitUntil(lambda: bool(ends), timeout=PATIENCE)
    assert ends == [True]
    assert handleAlgorithmResults(algorithm, context, feedback)
    (layer,) = project.mapLayers().values()
    assert (layer.name(), layers.recipe_of(layer)["seed"]) == ("a lake, seed 7", 7)
    group = project.layerTreeRoot().findGroup("Text2Earth")
    assert [node.layerId() for node in group.children()] == [layer.id()]


def test_variants_lie_beside_the_result_and_are_layers_too(backend, tmp_path, project):
    target, stranger = tmp_path / "a.tif", tmp_path / "b_2.tif"
    run({**QUICK, "OUTPUT": str(tmp_path / "a_2.tif")})  # a result of ours may be written over
    feedback = QgsProcessingFeedback()
    _layer, results = in_toolbox({**QUICK, "VARIANTS": 3, "OUTPUT": str(target)}, project, feedback=feedback)
    files = [str(target), *(str(tmp_path / f"a_{number}.tif") for number in (2, 3))]
    assert results["FILES"] == files
    assert [layers.recipe_in_file(file)["seed"] for file in files] == [7, 8, 9]
    shown = {layer.name(): layer.source() for layer in project.mapLayers().values()}
    assert shown == {f"a lake, seed {7 + place}": file for place, file in enumerate(files)}
    log = feedback.textLog()
    assert log.index("3 variants of it take about") < log.index("seed 8")
    stranger.write_text("mine")
    with pytest.raises(QgsProcessingException):
        run({**QUICK, "VARIANTS": 2, "OUTPUT": str(tmp_path / "b.tif")}, feedback=feedback)
    assert "b_2.tif is there already, and is no result of Text2Earth." in feedback.textLog()
    assert stranger.read_text() == "mine"


def test_what_the_backend_left_out_is_told(backend, tmp_path, project):
    feedback = QgsProcessingFeedback()
    every = {**QUICK, "PROMPT": "a lake and a meadow " * 40, "OUTPUT": str(tmp_path / "a.tif")}
    layer, _results = in_toolbox(every, project, feedback=feedback)
    note = r"its last \d+ tokens are ignored"
    assert len(re.findall(note, feedback.textLog())) == 1  # by the plan, and not by the job again
    assert len(re.findall(note, layer.metadata().abstract())) == 1


def test_in_a_worker(backend, tmp_path, qtbot):
    good, results, log = in_worker("generate", {**QUICK, "OUTPUT": str(tmp_path / "a.tif")}, qtbot)
    assert good, log
    assert gdal.Open(results["OUTPUT"]).RasterXSize == 128
    assert "128 x 128 px in WGS 84 / UTM zone 33N" in log


FAILURES = {
    "token": (Reply.of({"detail": "No token."}, 401), "asks for a token, and "),
    "too large": (Reply.of({"detail": "Too large."}, 413), "Too large."),
    "busy": (Reply.of({"detail": "16 jobs."}, 429, **{"Retry-After": "7"}), "16 jobs. Try again in 7 s."),
    "failure": (Reply.of({"detail": "oops"}, 500), "The backend failed: oops."),
    "half a body": (Reply(200, b"{", {"Content-Type": "application/json"}, claim=99), "No backend answers"),
    "silence": (Reply(hold=True), "did not answer in time"),
    "something else": (Reply(200, b"<html>"), "Is a Text2Earth backend there?"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_of_backend_and_network_are_sentences(web, monkeypatch, tmp_path, qtbot, name):
    reply, sentence = FAILURES[name]
    web.answer = lambda _request: reply
    monkeypatch.setenv("TEXT2EARTH_BACKEND_URL", web.url)
    if reply.hold:
        monkeypatch.setattr(transport, "TIMEOUT", 0.5)
    good, _results, log = in_worker("generate", {**QUICK, "OUTPUT": str(tmp_path / "a.tif")}, qtbot)
    assert not good
    assert sentence in log
    assert "Traceback" not in log


def test_cancel_in_a_worker_deletes_the_job(backend, tmp_path, qtbot):
    def cancel(task):
        qtbot.waitUntil(lambda: bool(backend.jobs("running")), timeout=PATIENCE)
        task.cancel()

    good, _results, log = in_worker(
        "generate", {**QUICK, **HOURS, "OUTPUT": str(tmp_path / "a.tif")}, qtbot, cancel
    )
    assert not good
    assert "Cancelled" in log
    assert backend.jobs("running", "accepted") == []
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert noted.state == "dismissed"


# ---- models and batch


def model_of_two_steps():
    """extent -> generate -> gdal:translate: the second step reads what the first has made."""
    model = QgsProcessingModelAlgorithm("lake", "test")
    model.addModelParameter(QgsProcessingParameterExtent("AREA", "Area"), QgsProcessingModelParameter("AREA"))
    value = QgsProcessingModelChildParameterSource.fromStaticValue
    first = QgsProcessingModelChildAlgorithm("text2earth:generate")
    first.setChildId("first")
    for name in ("PROMPT", "GSD", "STEPS", "SEED"):
        first.addParameterSources(name, [value(QUICK[name])])
    first.addParameterSources("EXTENT", [QgsProcessingModelChildParameterSource.fromModelParameter("AREA")])
    model.addChildAlgorithm(first)
    second = QgsProcessingModelChildAlgorithm("gdal:translate")
    second.setChildId("second")
    second.addParameterSources(
        "INPUT", [QgsProcessingModelChildParameterSource.fromChildOutput("first", "OUTPUT")]
    )
    output = QgsProcessingModelOutput("RESULT", "RESULT")
    output.setChildId("second")
    output.setChildOutputName("OUTPUT")
    second.setModelOutputs({"RESULT": output})
    model.addChildAlgorithm(second)
    model.updateDestinationParameters()
    return model


def test_in_a_model(backend, tmp_path, project):
    import processing

    model = model_of_two_steps()
    stored = str(tmp_path / "lake.model3")
    model.toFile(stored)
    read = QgsProcessingModelAlgorithm()
    assert read.fromFile(stored)
    (result,) = (one.name() for one in read.destinationParameterDefinitions())  # versions differ
    parameters = {"AREA": EXTENT, result: str(tmp_path / "a.tif")}
    context = QgsProcessingContext()
    context.setProject(project)
    results = processing.run(read, parameters, context=context)
    made = gdal.Open(results[result])
    assert made.GetGeoTransform() == (500000, 1, 0, 5800128, 0, -1)
    assert made.GetMetadataItem("AI_GENERATED") == "YES"


def test_a_model_s_own_layer_name_is_kept(backend, tmp_path, project):
    from processing.gui.Postprocessing import handleAlgorithmResults

    model = QgsProcessingModelAlgorithm("lake", "test")
    child = QgsProcessingModelChildAlgorithm("text2earth:generate")
    child.setChildId("only")
    for name, given in QUICK.items():
        child.addParameterSources(name, [QgsProcessingModelChildParameterSource.fromStaticValue(given)])
    output = QgsProcessingModelOutput("My own name", "My own name")
    output.setChildId("only")
    output.setChildOutputName("OUTPUT")
    child.setModelOutputs({"My own name": output})
    model.addChildAlgorithm(child)
    model.updateDestinationParameters()
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(project)
    destination = QgsProcessingOutputLayerDefinition(str(tmp_path / "a.tif"), project)
    (result,) = (one.name() for one in model.destinationParameterDefinitions())  # versions differ
    _results, good = model.run({result: destination}, context, feedback)
    assert good, feedback.textLog()
    assert handleAlgorithmResults(model, context, feedback)
    (layer,) = project.mapLayers().values()
    assert layer.name() == "My own name"
    assert layers.recipe_of(layer)["seed"] == 7


def test_in_batch(backend, algorithm, tmp_path, project, qgis_iface, qtbot):
    """The real batch window: one row fails, the others are made and loaded under their own names."""
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    dialog = BatchAlgorithmDialog(algorithm)  # which becomes its owner
    qtbot.addWidget(dialog)
    rows = [
        {**QUICK, "PROMPT": "a lake", "OUTPUT": str(tmp_path / "a.tif")},
        {**QUICK, "GSD": 5000, "OUTPUT": str(tmp_path / "b.tif")},
        {**QUICK, "PROMPT": "a forest", "OUTPUT": str(tmp_path / "c.tif")},
    ]
    panel = dialog.mainWidget()
    panel.batchRowCount = lambda: len(rows)

    def parameters(row, destinationProject=None, **_more):
        output = QgsProcessingOutputLayerDefinition(rows[row]["OUTPUT"], destinationProject)
        return {**rows[row], "OUTPUT": output}, True

    panel.parametersForRow = parameters
    panel.checkLoadLayersOnCompletion.setChecked(True)
    run_batch(dialog, qtbot)
    assert [path.name for path in sorted(tmp_path.glob("*.tif"))] == ["a.tif", "c.tif"]
    assert {one.name() for one in project.mapLayers().values()} == {"a lake, seed 7", "a forest, seed 7"}

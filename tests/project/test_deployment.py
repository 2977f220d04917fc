"""The files of resources/deploy fit the backend: its settings, its command line, its versions, each other."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from launcher import BackendProcess
from model_backend.api.tokens import BadSetUp, read_tokens
from model_backend.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "resources" / "deploy"
FILES = {path.name: path.read_text("utf-8") for path in sorted(DEPLOY.iterdir()) if path.is_file()}
COMPOSE = yaml.safe_load(FILES["compose.yaml"])
CONTAINERFILE = FILES["Containerfile"]
CLUSTER, CLAIM, SERVICE, POLICY = yaml.safe_load_all(FILES["kuberay.yaml"])
HEAD, GPUS = CLUSTER["spec"]["headGroupSpec"], CLUSTER["spec"]["workerGroupSpecs"][0]
HEAD_POD, GPU_POD = HEAD["template"]["spec"], GPUS["template"]["spec"]
RAY_HEAD, BACKEND = HEAD_POD["containers"]
OF_THE_PROXY = {"SITE", "BACKEND"}


def directive(name, text):
    """Return the values of a directive of a unit, in order."""
    return re.findall(rf"^{name}=(.*)$", text, re.M)


def instruction(name):
    """Return the rest of the last instruction of that name in the container file."""
    return re.findall(rf"^{name} (.*)$", CONTAINERFILE, re.M)[-1]


UNIT = shlex.split(directive("ExecStart", FILES["text2earth.service"])[0])
COMMANDS = {
    "unit": UNIT[1:],
    "container": yaml.safe_load(instruction("CMD")),
    "compose": COMPOSE["services"]["backend"]["command"],
    "kuberay": BACKEND["args"],
}


@pytest.mark.fast
@pytest.mark.parametrize("name", FILES)
def test_settings_that_files_name_exist(name):
    named = set(re.findall(r"TEXT2EARTH_([A-Z_]+)", FILES[name])) - OF_THE_PROXY - {"NAME"}
    assert named <= {field.upper() for field in Settings.model_fields}
    assert name in (ROOT / "docs" / "server.md").read_text("utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_command_lines_start_a_backend(name, tmp_path):
    """The real program, on a free port of loopback and in folders of the test's."""
    tokens = tmp_path / "tokens"
    tokens.write_text("0123456789abcdef anna\n")
    tokens.chmod(0o600)
    serve, *flags = COMMANDS[name]
    assert serve == "serve"
    here = {"0.0.0.0": "127.0.0.1", "/etc/text2earth/tokens": tokens, "/run/secrets/tokens": tokens}
    here |= {"/run/tokens/tokens": tokens, "auto": "127.0.0.1:1"}  # no cluster of somebody else's
    while "--data-dir" in flags:
        place = flags.index("--data-dir")
        del flags[place : place + 2]
    one = BackendProcess(tmp_path / "data", *(str(here.get(word, word)) for word in flags))
    try:
        one.start()
    finally:
        one.stop()


@pytest.mark.fast
def test_the_container_and_compose_agree():
    backend = COMPOSE["services"]["backend"]
    kept = yaml.safe_load(instruction("VOLUME"))
    assert [volume.split(":")[1] for volume in backend["volumes"]] == kept
    values = dict(word.split("=", 1) for word in instruction("ENV").split())
    assert [values["TEXT2EARTH_DATA_DIR"], values["NUMBA_CACHE_DIR"]] == kept
    assert (ROOT / "resources" / "deploy" / backend["build"]["context"]).resolve() == ROOT
    assert (ROOT / backend["build"]["dockerfile"]).is_file()
    port = str(Settings.model_fields["port"].default)
    assert instruction("EXPOSE") == port
    assert COMPOSE["services"]["proxy"]["environment"]["TEXT2EARTH_BACKEND"] == f"backend:{port}"
    assert "ports" not in backend  # only the proxy reaches it
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE, re.M):
        assert all((ROOT / name).exists() for name in copied.split())


@pytest.mark.fast
def test_versions_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    torch = next(one for one in project["optional-dependencies"]["model"] if one.startswith("torch"))
    assert torch in (ROOT / ".ci" / "constraints.txt").read_text("utf-8").splitlines()
    toolkit, index = re.search(r"cuda:(\d+\.\d+)\S*\s.*?whl/cu(\d+)", CONTAINERFILE, re.S).groups()
    assert toolkit.replace(".", "") == index
    ray = f"ray=={CLUSTER['spec']['rayVersion']}"
    assert [ray] == [one.split()[0] for one in project["optional-dependencies"]["cluster"]]
    assert ray in (ROOT / ".ci" / "constraints.txt").read_text("utf-8").splitlines()


@pytest.mark.fast
def test_the_backend_is_a_driver_in_the_pod_of_the_head():
    """It needs the sockets, the memory and the sight of the node's processes, and waits for no worker."""
    places = {mount["mountPath"]: mount["name"] for mount in BACKEND["volumeMounts"]}
    for place in ("/tmp/ray", "/dev/shm"):
        assert {"name": places[place], "mountPath": place} in RAY_HEAD["volumeMounts"]
    assert HEAD_POD["shareProcessNamespace"]
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    assert GPUS["minReplicas"] == 0
    assert "ln -s /opt/text2earth/bin/ray /usr/local/bin/ray" in CONTAINERFILE  # KubeRay's login shells
    assert "PARTS=[model,cluster]" in FILES["kuberay.yaml"]


@pytest.mark.fast
def test_pods_fit_the_container_and_each_other():
    port = Settings.model_fields["port"].default
    assert BACKEND["ports"] == [{"name": "http", "containerPort": port}]
    assert [one["targetPort"] for one in SERVICE["spec"]["ports"]] == [port]
    assert POLICY["spec"]["ingress"][1] == {"ports": [{"port": port}]}
    probes = {
        BACKEND[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {"/livez", "/readyz"}
    node = int(GPUS["rayStartParams"]["node-manager-port"])
    for container, its in ((RAY_HEAD, 6379), (GPU_POD["containers"][0], node)):
        assert {container[name]["tcpSocket"]["port"] for name in ("livenessProbe", "readinessProbe")} == {its}
    user = int(re.search(r"--uid (\d+)", CONTAINERFILE)[1])
    for pod, group in ((HEAD_POD, HEAD), (GPU_POD, GPUS)):
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == user
        named = {volume["name"] for volume in pod["volumes"]}
        containers = [*pod["containers"], *pod.get("initContainers", [])]
        assert {mount["name"] for one in containers for mount in one["volumeMounts"]} == named
        assert {one["image"] for one in containers} == {RAY_HEAD["image"]}
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    data = dict(word.split("=", 1) for word in instruction("ENV").split())["TEXT2EARTH_DATA_DIR"]
    assert {"name": "data", "mountPath": data} in BACKEND["volumeMounts"]
    claims = [
        one["persistentVolumeClaim"]["claimName"] for one in HEAD_POD["volumes"] if one["name"] == "data"
    ]
    assert claims == [CLAIM["metadata"]["name"]]
    assert SERVICE["spec"]["selector"]["ray.io/cluster"] == CLUSTER["metadata"]["name"]
    secret = next(one["secret"]["secretName"] for one in HEAD_POD["volumes"] if one["name"] == "secret")
    assert f"create secret generic {secret} --from-file=tokens" in (ROOT / "docs" / "server.md").read_text(
        "utf-8"
    )


def test_ray_understands_the_cluster():
    """As its command line and its autoscaler read it."""
    from ray.autoscaler._private.kuberay import autoscaling_config
    from ray.scripts.scripts import start

    known = {name for option in start.params for name in option.opts}
    assert {f"--{name}" for group in (HEAD, GPUS) for name in group["rayStartParams"]} <= known
    cluster = CLUSTER | {"metadata": CLUSTER["metadata"] | {"namespace": "default"}}
    read = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    pod = read["available_node_types"][GPUS["groupName"]]
    workers = int(BACKEND["args"][BACKEND["args"].index("--ray-workers") + 1])
    assert (pod["min_workers"], pod["max_workers"], pod["resources"]["GPU"]) == (0, workers, 1)
    assert read["available_node_types"][read["head_node_type"]]["resources"]["CPU"] == 0
    assert read["idle_timeout_minutes"] == 1


@pytest.mark.fast
def test_tokens_of_a_secret_become_a_file_that_its_user_alone_reads(tmp_path):
    """What the first container of the pod runs, and the check that the backend makes."""
    secret, tokens = tmp_path / "secret", tmp_path / "tokens"
    secret.write_text("0123456789abcdef anna\n")
    secret.chmod(0o440)
    places = {
        "/run/secrets/text2earth/tokens": secret,
        BACKEND["args"][BACKEND["args"].index("--token-file") + 1]: tokens,
    }
    subprocess.run(
        [str(places.get(word, word)) for word in HEAD_POD["initContainers"][0]["command"]], check=True
    )
    assert [token.owner for token in read_tokens(tokens)] == ["anna"]
    with pytest.raises(BadSetUp):
        read_tokens(secret)


@pytest.mark.fast
def test_the_unit_keeps_to_its_folders():
    unit = FILES["text2earth.service"]
    assert "/var/lib/" + directive("StateDirectory", unit)[0] == UNIT[UNIT.index("--data-dir") + 1]
    assert f"NUMBA_CACHE_DIR=/var/cache/{directive('CacheDirectory', unit)[0]}" in unit


@pytest.mark.fast
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
@pytest.mark.parametrize(("drop_in", "exposure"), [(None, 1.5), ("nvidia.conf", 2.0)])
def test_systemd_thinks_well_of_the_unit(drop_in, exposure, tmp_path):
    """Of ten, ten being the worst; an ordinary unit has 9.6."""
    unit = tmp_path / "text2earth.service"
    unit.write_text(FILES[unit.name].replace(UNIT[0], "/bin/true"))
    if drop_in:
        (tmp_path / "text2earth.service.d").mkdir()
        (tmp_path / "text2earth.service.d" / drop_in).write_text(FILES[drop_in])
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert unit.name not in checked.stderr, checked.stderr
    limit = f"--threshold={round(10 * exposure)}"
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", limit, str(unit)], capture_output=True, text=True
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr

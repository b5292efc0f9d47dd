"""The command: what is staged, shown, written and noted."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sngan_cond import Generator
from sngan_cond.loading import load_generator
from tests.processes import output_of
from tests.refusals import refused_command
from tests.train.publishing.published_run import METRICS
from train.evaluation.report import weights_sha256
from train.files import lock
from train.publish import main
from train.publishing import by_hand
from train.publishing.export import export_checkpoint

FILES = ["README.md", "config.json", "model.safetensors", "samples.png", "training.json"]


def test_staging_takes_the_step_s_own_files(run_dir: Path, tmp_path: Path) -> None:
    export_checkpoint(run_dir / "checkpoints/step-00000002", tmp_path / "out", run_dir=run_dir, with_discriminator=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        {*FILES, "discriminator.safetensors"} - {"README.md"}
    )
    assert (tmp_path / "out/samples.png").read_bytes() == b"picture 2"
    assert json.loads((tmp_path / "out/training.json").read_text())["step"] == 2


def test_no_folder_of_the_machine_goes_out(run_dir: Path, tmp_path: Path) -> None:
    checkpoint = run_dir / "checkpoints/step-00000002"
    training = json.loads((checkpoint / "training.json").read_text())
    training["config"]["data"] = {"path": "/home/somebody/secret/pictures-32", "root": "data/pictures-32"}
    (checkpoint / "training.json").write_text(json.dumps(training))
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": [], "model": "C:\\Users\\somebody\\run"}))
    export_checkpoint(checkpoint, tmp_path / "out", run_dir=run_dir, metrics=tmp_path / "metrics.json")
    sent = json.loads((tmp_path / "out/training.json").read_text())
    assert sent == training | {
        "config": training["config"] | {"data": {"path": "pictures-32", "root": "data/pictures-32"}}
    }
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == {"metrics": [], "model": "run"}


@pytest.mark.parametrize(("held_out", "said"), [(0.1, {"held_out": 0.1}), (0.0, {})])
def test_the_data_set_is_named_and_what_was_kept_from_training(
    held_out: float, said: dict, run_dir: Path, tiny_data: Path, tmp_path: Path
) -> None:
    checkpoint = run_dir / "checkpoints/step-00000002"
    training = json.loads((checkpoint / "training.json").read_text())
    training["config"]["data"] = {"path": str(tiny_data), "held_out": held_out}
    (checkpoint / "training.json").write_text(json.dumps(training))
    export_checkpoint(checkpoint, tmp_path / "out", run_dir=run_dir)
    data = json.loads((tmp_path / "out/training.json").read_text())["data"]
    assert data["count"] == 200
    assert {key: value for key, value in data.items() if key == "held_out"} == said


def test_dry_run_shows_and_sends_nothing(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    options = ("--run-dir", run_dir, "--repo", "user/name", "--dry-run")
    before = sorted(run_dir.rglob("*"))
    out = output_of(main, *options, "--metrics", tmp_path / "metrics.json")
    assert "one commit titled 'Step 4'" in out
    assert all(name in out for name in (*FILES, "metrics.json"))
    assert "| frechet\\_toy | 12.34 |" in out
    assert "license:" not in out
    out = output_of(main, *options, "--checkpoint", 2, "--license", "mit", "--branch", "v1")
    assert all(words in out for words in ("'Step 2'", "\nlicense: mit\n", "/user/name/resolve/v1/samples.png"))
    assert sorted(run_dir.rglob("*")) == before


def test_what_is_sent_by_hand_is_noted_under_its_branch(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run that publishes to main still sends its own."""
    oids = iter(("a" * 40, "b" * 40, "c" * 40))
    monkeypatch.setattr(by_hand, "push_folder", lambda *_, **__: SimpleNamespace(oid=next(oids)))
    options = ["--run-dir", str(run_dir), "--repo", "user/name", "--checkpoint"]
    for step, branch in ((2, []), (4, ["--branch", "v1"]), (4, [])):
        assert main([*options, str(step), *branch]) == 0
    noted = json.loads((run_dir / "published.json").read_text())
    assert noted == {"user/name": {"2": "a" * 40, "4": "c" * 40}, "user/name@v1": {"4": "b" * 40}}


def test_a_model_folder_can_be_written_instead(run_dir: Path, tmp_path: Path) -> None:
    options = ["--run-dir", str(run_dir), "--out", str(tmp_path / "my-model"), "--with-discriminator"]
    assert main(options) == 0
    model = load_generator(tmp_path / "my-model")
    assert model.step == 4
    assert "from_pretrained('my-model')" in (model.card or "")
    refused_command(main, options, "exists already")
    refused_command(main, options[:2], "--repo: is needed")
    refused_command(main, [*options, "--branch", "v1"], "--branch v1: allowed with --repo")


def test_a_full_disk_leaves_nothing(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[object] = []

    def copyfile(source: Path, target: Path) -> None:
        if copied:
            raise OSError(28, "No space left on device", str(target))
        copied.append(target.write_bytes(source.read_bytes()))

    monkeypatch.setattr(by_hand.shutil, "copyfile", copyfile)
    options = ["--run-dir", run_dir, "--out", tmp_path / "out/my-model"]
    refused_command(main, options, "my-model", "No space left on device")
    assert copied
    assert list((tmp_path / "out").iterdir()) == []
    assert not list(run_dir.glob(".*"))


def test_what_a_killed_process_left_is_removed_and_what_another_uses_is_not(run_dir: Path, tmp_path: Path) -> None:
    for name in ("dead", "alive"):
        (run_dir / f".publish-{name}/model").mkdir(parents=True)
    held = lock(run_dir / ".publish-alive/lock")
    assert held is not None
    assert main(["--run-dir", str(run_dir), "--out", str(tmp_path / "my-model")]) == 0
    assert [path.name for path in run_dir.glob(".publish-*")] == [".publish-alive"]
    held.release()


def test_what_is_written_shares_no_bytes_with_the_run(run_dir: Path, tmp_path: Path) -> None:
    assert main(["--run-dir", str(run_dir), "--out", str(tmp_path / "my-model"), "--with-discriminator"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-model", "run"]
    assert {path.stat().st_nlink for path in (tmp_path / "my-model").iterdir()} == {1}


def test_metrics_of_other_weights_are_refused(run_dir: Path, tmp_path: Path) -> None:
    measured = weights_sha256(Generator.from_pretrained(run_dir / "checkpoints/step-00000002"))
    (tmp_path / "metrics.json").write_text(json.dumps({**METRICS, "model": {"weights_sha256": measured}}))
    options = ["--run-dir", str(run_dir), "--repo", "user/name", "--dry-run"]
    options += ["--metrics", str(tmp_path / "metrics.json")]
    assert main([*options, "--checkpoint", "2"]) == 0
    refused_command(main, [*options, "--checkpoint", "4"], "measured on other weights")
    (tmp_path / "metrics.json").write_text(json.dumps({**METRICS, "model": "x"}))
    refused_command(main, options, "--metrics: model is 'x'; allowed is an object")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--repo", "https://hub/x"], "repo='https://hub/x': user/name is allowed"),
        (["--repo", "user/name.git"], "repo='user/name.git': user/name is allowed; Repo_id cannot end by '.git'"),
        (["--checkpoint", "3"], "--checkpoint 3: there is none of this step; there are 2, 4"),
        (["--run-dir", "nowhere"], "--run-dir nowhere: no run there"),
        (["--facts", "nowhere.yaml"], "--facts nowhere.yaml: cannot be read"),
        (["--metrics", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--branch", "../x"], "revision='../x'"),
        (
            ["--license", "MIT"],
            "--license MIT: license is 'MIT'; allowed is the Hub's id of one, such as mit",
        ),
        (["--license", "other", "--license-name", "X"], "license=other: name and link are needed for 'other'"),
        (["--license", "mit", "--license-link", "https://x.org"], "license=mit: name and link are"),
        (["--license-name", "X"], "--license-name X: allowed with --license other"),
    ],
)
def test_mistakes_take_one_line(run_dir: Path, options: list[str], words: str) -> None:
    refused_command(main, ["--run-dir", str(run_dir), "--repo", "user/name", "--dry-run", *options], words)
